//! The objects of a device, with the names, types and units of their resources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use buoy_api as api;
use buoy_lwm2m::model::{ObjectModel, ResourceModel};
use buoy_lwm2m::path::Path;

use crate::access::{Permission, Target};
use crate::app::App;
use crate::devices::{self, DeviceError};
use crate::path_values::type_name;
use crate::principal::Principal;
use crate::values::DeviceModels;

/// The objects of a device in the order of their ids.
///
/// A registered device has the objects of its registration, in the versions that it names. Of another device the objects are those whose values
/// are stored, and their definitions are the newest.
///
/// # Errors
/// [`DeviceError`]
pub async fn of_device(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<Vec<api::DeviceObject>, DeviceError> {
    app.permit(principal, Permission::Read, Target::Device(endpoint)).await?;
    if let Some(registration) = app.registration(endpoint).await {
        let models = DeviceModels::of(&app.models, &registration.objects);
        let objects = instances(registration.objects.paths());
        let described = objects.into_iter().map(|(id, instances)| {
            let model = app.models.select(id, models.version(id));
            api::DeviceObject { id, instances, definition: model.map(definition) }
        });
        return Ok(described.collect());
    }
    if app.inventory.device(endpoint).await.is_none() {
        return Err(DeviceError::NoSuchDevice(endpoint.to_owned()));
    }
    let series = devices::series(app, principal, endpoint.to_owned()).await?;
    let objects = instances(series.iter().filter_map(|path| path.parse().ok()));
    let described = objects.into_iter().map(|(id, instances)| {
        let newest = app.models.versions(id).last();
        let model = newest.and_then(|version| app.models.get(id, version));
        api::DeviceObject { id, instances, definition: model.map(definition) }
    });
    Ok(described.collect())
}

fn instances(paths: impl Iterator<Item = Path>) -> BTreeMap<u16, Vec<u16>> {
    let mut objects: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for path in paths {
        let Some(object) = path.object_id() else { continue };
        objects.entry(object).or_default().extend(path.instance_id());
    }
    objects.into_iter().map(|(id, instances)| (id, instances.into_iter().collect())).collect()
}

fn definition(model: &ObjectModel) -> api::ObjectDefinition {
    api::ObjectDefinition {
        name: model.name.clone(),
        version: model.version.to_string(),
        description: model.description.clone(),
        multiple: model.multiple,
        resources: model.resources.values().map(resource).collect(),
    }
}

fn resource(model: &ResourceModel) -> api::ResourceDefinition {
    api::ResourceDefinition {
        id: model.id,
        name: model.name.clone(),
        operations: model.operations.as_str().to_owned(),
        multiple: model.multiple,
        mandatory: model.mandatory,
        value_type: model.value_type.map(|kind| type_name(kind).to_owned()),
        range: model.range.clone(),
        units: model.units.clone(),
        labels: model.labels.iter().map(|(number, label)| (number.to_string(), label.clone())).collect(),
    }
}
