//! The names that a shell completes.

use buoy_api::client::encode;
use buoy_api::{Device, Group, Page};

use super::contexts::{Contexts, Place};

/// Names that a shell gets at most.
const MOST: usize = 200;

/// Of what there are names.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) enum Completed {
    Devices,
    Firmware,
    Groups,
    Contexts,
}

/// Names that begin with `typed`, from the server of the environment or of the context that is used.
pub(in crate::cli) fn names(kind: Completed, typed: &str) -> anyhow::Result<Vec<String>> {
    if matches!(kind, Completed::Contexts) {
        return Ok(Contexts::read()?.contexts.into_keys().collect());
    }
    let client = Place::of_environment()?.client()?;
    Ok(match kind {
        Completed::Devices => {
            let path = format!("/api/v1/devices?limit={MOST}&prefix={}", encode(typed));
            client.get::<Page<Device>>(&path)?.items.into_iter().map(|device| device.endpoint).collect()
        }
        Completed::Firmware => client.firmware()?.items.into_iter().map(|image| image.name).collect(),
        Completed::Groups => {
            client.get::<Page<Group>>("/api/v1/groups")?.items.into_iter().map(|group| group.name).collect()
        }
        Completed::Contexts => Vec::new(),
    })
}
