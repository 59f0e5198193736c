//! The devices of the demo's fleet: three models, at the coast and at sea, with what is wrong with some of them.

use std::time::Duration;

use buoy_sim::swarm::{Character, Trouble};

/// The release that the fleet is brought to, and the one that some weather buoys crash on.
pub(super) const GOOD: &str = "2.0.0";
pub(super) const BAD: &str = "2.1.0";
pub(super) const TIDE: &str = "Tide gauge";
pub(super) const WEATHER: &str = "Weather buoy";
pub(super) const DRIFTER: &str = "Drifter";
/// Tags.
pub(super) const HARBOUR: &str = "harbour";
pub(super) const WORKSHOP: &str = "workshop";

/// Where devices of the coast lie: name, degrees north and east, and degrees Celsius of a mean day.
const SITES: [(&str, f64, f64, f64); 6] = [
    ("Kiel", 54.33, 10.16, 12.5),
    ("Husum", 54.47, 9.04, 11.0),
    ("List", 55.02, 8.44, 10.5),
    ("Cuxhaven", 53.87, 8.72, 11.5),
    ("Rostock", 54.15, 12.10, 13.0),
    ("Sassnitz", 54.51, 13.65, 12.0),
];

/// A device, and what its operators note of it.
pub(super) struct Inhabitant {
    pub(super) character: Character,
    pub(super) site: &'static str,
    pub(super) tags: Vec<&'static str>,
    pub(super) notes: Option<&'static str>,
}

/// So many devices. With 60 or more of them all that the demo shows is there.
pub(super) fn inhabitants(devices: u32) -> Vec<Inhabitant> {
    let mut made = [0; 3];
    let mut next = |model: usize| {
        made[model] += 1;
        made[model]
    };
    (0..devices)
        .map(|number| match number % 5 {
            0 | 2 => tide_gauge(next(0)),
            1 | 3 => weather_buoy(next(1)),
            _ => drifter(next(2)),
        })
        .collect()
}

fn tide_gauge(number: u32) -> Inhabitant {
    let trouble = match number {
        5 => Trouble::CrashesOn(GOOD.into()),
        8 => Trouble::LightGoesOut,
        _ => Trouble::None,
    };
    let base = at_the_coast("tide", TIDE, "TG-2", number);
    let loses = if number == 11 { 30 } else { 0 };
    let notes = match number {
        8 => Some("The lamp flickers since the storm. A new one is ordered."),
        11 => Some("Behind the new sheet piling: the modem hardly reaches the mast."),
        _ => None,
    };
    let tags = if number <= 12 { vec![HARBOUR] } else { vec![] };
    let signal = if loses > 0 { -117 } else { base.character.signal };
    let character = Character { trouble, loses, signal, ..base.character };
    Inhabitant { character, tags, notes, ..base }
}

fn weather_buoy(number: u32) -> Inhabitant {
    let trouble = match number {
        2 | 4 | 5 => Trouble::CrashesOn(BAD.into()),
        11 => Trouble::FallsSilent(Duration::from_secs(25)),
        _ => Trouble::None,
    };
    let base = at_the_coast("weather", WEATHER, "WB-4", number);
    let loses = if number == 9 { 30 } else { 0 };
    let (tags, notes) = match number {
        7 => (vec![WORKSHOP], Some("Stands in the sun behind the workshop, with its sensor on.")),
        1..=6 => (vec!["pilot"], None),
        _ => (vec![], None),
    };
    let mut character = Character { trouble, loses, ..base.character };
    match number {
        7 => character.day = (33.0, 1.0),
        9 => character.signal = -119,
        // The server notices soon that it is silent.
        11 => character.lifetime = 30,
        _ => {}
    }
    Inhabitant { character, tags, notes, ..base }
}

/// Drifters sleep, and live on what is in their batteries.
fn drifter(number: u32) -> Inhabitant {
    let base = at_the_coast("drifter", DRIFTER, "DR-1", number);
    let spread = f64::from(number);
    let position = (55.2 + spread * 0.13, 4.3 + (spread * 1.7) % 2.9);
    let battery = match number {
        3 => (11.0, 0.4),
        // Its alert fires while somebody watches.
        5 => (18.0, 90.0),
        8 => (13.0, 0.6),
        _ => (95.0 - spread * 4.0, 0.8),
    };
    let notes = (number == 3).then_some("Drifted off the shipping lane; fetch it when the weather allows.");
    let day = (8.5 + spread * 0.1, 0.9);
    let lifetime = 36 + number % 5 * 7;
    let character =
        Character { position, battery, day, sleeps: true, lifetime, signal: -104, ..base.character };
    Inhabitant { character, site: "North Sea", tags: vec!["open-sea"], notes }
}

fn at_the_coast(prefix: &str, model: &str, hardware: &str, number: u32) -> Inhabitant {
    let (site, north, east, warmth) = SITES[number as usize % SITES.len()];
    let spread = f64::from(number);
    let character = Character {
        endpoint: format!("{prefix}-{number:02}"),
        model: model.into(),
        serial: format!("{hardware}-{:05}", 20_100 + number * 7),
        hardware: hardware.into(),
        position: (north + (spread * 0.37) % 0.09, east + (spread * 0.53) % 0.12),
        lifetime: 120,
        sleeps: false,
        day: (warmth + (spread * 0.61) % 1.5, 2.2 + (spread * 0.29) % 1.0),
        battery: (99.0 - (spread * 13.0) % 45.0, 0.3 + (spread * 0.17) % 0.5),
        signal: -71 - (number * 5 % 23) as i16,
        loses: 0,
        trouble: Trouble::None,
        past: 24,
    };
    Inhabitant { character, site, tags: vec![], notes: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sixty_devices_of_three_models_have_all_that_the_demo_shows() {
        let all = inhabitants(60);
        let of = |model: &str| all.iter().filter(|it| it.character.model == model).count();
        assert_eq!([of(TIDE), of(WEATHER), of(DRIFTER)], [24, 24, 12]);
        let names: BTreeSet<_> = all.iter().map(|it| &it.character.endpoint).collect();
        assert_eq!(names.len(), 60);
        let count = |is_so: &dyn Fn(&Character) -> bool| all.iter().filter(|it| is_so(&it.character)).count();
        assert_eq!(count(&|it| it.loses > 0), 2, "flaky links");
        assert_eq!(count(&|it| it.trouble == Trouble::CrashesOn(GOOD.into())), 1);
        assert_eq!(count(&|it| it.trouble == Trouble::CrashesOn(BAD.into())), 3);
        assert_eq!(count(&|it| it.trouble == Trouble::LightGoesOut), 1);
        assert_eq!(count(&|it| it.sleeps), 12);
        assert!(count(&|it| it.battery.0 < 15.0) >= 2);
    }
}
