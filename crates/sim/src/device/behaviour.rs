//! What an image does wrong, written in the image itself, so that a roll-back is seen and not mocked.

/// How an image behaves once it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Good,
    /// It crashes soon after its start.
    Crash,
    /// It stops doing anything.
    Hang,
    /// Its self-test fails.
    FailSelfTest,
}

impl Behaviour {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Good, Self::Crash, Self::Hang, Self::FailSelfTest];

    /// What says so in the payload of an image.
    #[must_use]
    pub fn marker(self) -> &'static str {
        match self {
            Self::Good => "buoy-behaviour=good;",
            Self::Crash => "buoy-behaviour=crash;",
            Self::Hang => "buoy-behaviour=hang;",
            Self::FailSelfTest => "buoy-behaviour=fail-self-test;",
        }
    }

    /// What an image says; one that says nothing is good.
    #[must_use]
    pub fn of(image: &[u8]) -> Self {
        let has = |marker: &str| image.windows(marker.len()).any(|window| window == marker.as_bytes());
        Self::ALL.into_iter().find(|behaviour| has(behaviour.marker())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_says_nothing_is_good() {
        assert_eq!(Behaviour::of(b"no marker"), Behaviour::Good);
        for behaviour in Behaviour::ALL {
            let image = [b"\xe9\x00".as_slice(), behaviour.marker().as_bytes(), b"\xff"].concat();
            assert_eq!(Behaviour::of(&image), behaviour);
        }
    }
}
