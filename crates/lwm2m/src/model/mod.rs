//! Object definitions; follows.
