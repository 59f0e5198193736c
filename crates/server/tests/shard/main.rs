//! The engine driven by hand: a scripted device, a clock that is a number.

mod addresses;
mod blocks;
mod observation;
mod operations;
mod registration;
mod world;
