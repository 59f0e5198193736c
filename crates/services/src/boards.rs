//! The history of a device over its boards: the values of those whose place it took are its own, too.
//!
//! They stay in the store under the name of the board that measured them, so nothing is written anew, and it can be seen which board it was.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use buoy_store::Summary;

use crate::app::App;

/// A device, and those whose place it took.
pub(crate) async fn of(app: &App, endpoint: String) -> Vec<String> {
    let record = app.inventory.device(&endpoint).await;
    let profile = record.and_then(|record| record.profile);
    let before = profile.iter().flat_map(|profile| &profile.replaces).map(|name| name.to_string());
    std::iter::once(endpoint.clone()).chain(before).collect()
}

/// Adds a summary of another board over the same time.
pub(crate) fn join(all: &mut BTreeMap<u64, Summary>, row: Summary) {
    match all.entry(row.at) {
        Entry::Vacant(place) => drop(place.insert(row)),
        Entry::Occupied(mut place) => {
            let has = place.get_mut();
            let count = has.count + row.count;
            has.mean = (has.mean * has.count as f64 + row.mean * row.count as f64) / count.max(1) as f64;
            has.count = count;
            has.min = has.min.min(row.min);
            has.max = has.max.max(row.max);
        }
    }
}
