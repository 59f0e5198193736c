//! The answers of this machine.

fn main() {
    let mut text = String::new();
    buoy_answers::write(&mut text).expect("a string takes all");
    print!("{text}");
}
