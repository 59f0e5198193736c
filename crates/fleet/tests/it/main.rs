//! Updates against scripted devices, with a clock that is a number.

mod batches;
mod downloads;
mod installs;
mod orders;
mod restarts;
mod world;
