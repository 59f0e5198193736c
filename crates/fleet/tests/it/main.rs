//! Updates against scripted devices, with a clock that is a number.

mod batches;
mod downloads;
mod installs;
mod orders;
mod random;
mod restarts;
mod world;
