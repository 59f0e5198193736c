//! Firmware Update (object 5).
