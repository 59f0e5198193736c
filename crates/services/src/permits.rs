//! Whether a principal may do something with devices, by the groups that there are now.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::{Covered, Forbidden, GroupsOf, NoGroups, Permission, Reach, Target};
use crate::app::App;
use crate::groups;
use crate::principal::Principal;

impl App {
    /// Whether a principal may do something.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub async fn permit(
        &self,
        principal: &Principal,
        permission: Permission,
        target: Target<'_>,
    ) -> Result<(), Forbidden> {
        let without_groups = principal.may(permission, target, &NoGroups);
        let Target::Device(endpoint) = target else { return without_groups };
        if without_groups.is_ok() {
            return without_groups;
        }
        let mut of_device = GroupsOf(Vec::new());
        for group in principal.groups(permission) {
            if groups::contains(self, &group, endpoint).await {
                of_device.0.push(group);
            }
        }
        principal.may(permission, target, &of_device)
    }

    /// The same for what concerns no single device.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub fn permit_at_once(
        &self,
        principal: &Principal,
        permission: Permission,
        target: Target<'_>,
    ) -> Result<(), Forbidden> {
        principal.may(permission, target, &NoGroups)
    }

    /// Whether a principal may do something with at least some devices, and with which: a list then has those alone.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub fn permit_some(&self, principal: &Principal, permission: Permission) -> Result<Reach, Forbidden> {
        match principal.reach(permission) {
            Reach::Nothing => Err(Forbidden::new(principal.name(), permission, Target::Server)),
            reach => Ok(reach),
        }
    }

    /// The devices with which a principal may do something now.
    ///
    /// # Errors
    /// [`Forbidden`]
    pub async fn covered(&self, principal: &Principal, permission: Permission) -> Result<Covered, Forbidden> {
        if self.permit_some(principal, permission)? != Reach::Groups {
            return Ok(Covered::All);
        }
        let mut groups_of = HashMap::<Arc<str>, GroupsOf>::new();
        for group in principal.groups(permission) {
            for device in groups::members(self, &group).await {
                groups_of.entry(device).or_insert_with(|| GroupsOf(Vec::new())).0.push(group.clone());
            }
        }
        let may = |device: &Arc<str>, of_device: &GroupsOf| {
            principal.may(permission, Target::Device(device), of_device).is_ok()
        };
        let covered = groups_of.iter().filter(|(device, of_device)| may(device, of_device));
        Ok(Covered::Some(covered.map(|(device, _)| device.clone()).collect()))
    }

    /// Whether a principal may read of a device.
    pub async fn sees(&self, principal: &Principal, endpoint: &str) -> bool {
        self.permit(principal, Permission::Read, Target::Device(endpoint)).await.is_ok()
    }
}
