//! The objects that most devices have.

mod connectivity;
mod device;
mod light;
mod location;
mod temperature;
mod time;

pub use connectivity::{ConnectivityMonitoring, ConnectivityStatistics};
pub use device::{Device, ErrorCode, PowerSource};
pub use light::LightControl;
pub use location::Location;
pub use temperature::Temperature;
pub use time::Time;
