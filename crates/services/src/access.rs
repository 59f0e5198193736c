//! Who may do what: roles, permissions, and the part of the server to which a role is limited.
//!
//! Each command of a service asks [`App::permit`](crate::app::App::permit) before it does anything else. A role that is limited to a group of devices
//! covers what can be proved to belong to the group, and nothing else.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use buoy_api::{Grant, Role};

/// Something that a principal may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permission {
    /// Reading devices, their values, operations, updates, and the firmware library.
    Read,
    /// Commanding devices: operations, and removal from the inventory.
    Command,
    /// Updating the firmware of devices.
    Update,
    /// Managing groups, campaigns, desired state, and other orders for many devices.
    ManageFleet,
    /// Managing the firmware library.
    ManageFirmware,
    /// Seeing which credentials and bootstrap configurations devices have, without the secrets.
    ReadCredentials,
    /// Managing the credentials of devices.
    ManageCredentials,
    /// Managing bootstrap configurations and claims.
    ManageBootstrap,
    /// Reading the audit log.
    ReadAudit,
    /// Managing accounts and the tokens of others.
    ManageAccounts,
    /// Managing the server's connections to other systems.
    ManageServer,
}

impl Permission {
    /// The least role that has it.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Command
            | Self::Update
            | Self::ManageFleet
            | Self::ManageFirmware
            | Self::ReadCredentials => Role::Operator,
            Self::ManageCredentials
            | Self::ManageBootstrap
            | Self::ReadAudit
            | Self::ManageAccounts
            | Self::ManageServer => Role::Admin,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Command => "command",
            Self::Update => "update the firmware of",
            Self::ManageFleet => "manage orders for",
            Self::ManageFirmware => "manage the firmware of",
            Self::ReadCredentials => "read the credentials of",
            Self::ManageCredentials => "manage the credentials of",
            Self::ManageBootstrap => "manage the bootstrap of",
            Self::ReadAudit => "read the audit log of",
            Self::ManageAccounts => "manage the accounts of",
            Self::ManageServer => "manage the connections of",
        }
    }
}

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// All of the server: a role for a group does not cover it.
    Server,
    /// Something that belongs to no device, such as the firmware library: a role for any group covers it.
    Shared,
    /// One device.
    Device(&'a str),
    /// The devices of a group.
    Group(&'a str),
}

/// Which devices a group has.
pub trait Membership {
    /// Whether it has this one.
    fn contains(&self, group: &str, endpoint: &str) -> bool;
}

/// For commands that are about no device.
#[derive(Clone, Copy, Debug)]
pub struct NoGroups;

impl Membership for NoGroups {
    fn contains(&self, _group: &str, _endpoint: &str) -> bool {
        false
    }
}

/// The groups that have one device.
pub(crate) struct GroupsOf(pub(crate) Vec<String>);

impl Membership for GroupsOf {
    fn contains(&self, group: &str, _endpoint: &str) -> bool {
        self.0.iter().any(|has| has == group)
    }
}

/// The devices that a principal may do something with, at one moment.
#[derive(Clone, Debug)]
pub enum Covered {
    /// All of them.
    All,
    /// These.
    Some(HashSet<Arc<str>>),
}

impl Covered {
    /// Whether this device is one of them.
    #[must_use]
    pub fn has(&self, endpoint: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(endpoint),
        }
    }
}

/// The devices that a principal may do something with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them, and what belongs to none.
    Everything,
    /// Some, by groups.
    Groups,
    /// None.
    Nothing,
}

/// What a principal may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Powers {
    /// Everything: the server itself, and whoever is trusted without a sign-in.
    All,
    /// What these roles allow.
    Granted(Box<[Grant]>),
    /// What both allow: a token can't do more than its account.
    Both(Box<[Grant]>, Box<[Grant]>),
}

impl Powers {
    /// Whether they cover a permission on a target.
    pub(crate) fn cover(&self, permission: Permission, target: Target<'_>, members: &dyn Membership) -> bool {
        let cover = |grants: &[Grant]| grants.iter().any(|grant| covers(grant, permission, target, members));
        match self {
            Self::All => true,
            Self::Granted(grants) => cover(grants),
            Self::Both(of_token, of_account) => cover(of_token) && cover(of_account),
        }
    }

    /// The groups to which they are limited for a permission.
    pub(crate) fn groups(&self, permission: Permission) -> Vec<String> {
        let of = |grants: &[Grant]| -> Vec<String> {
            let of_role = grants.iter().filter(|grant| grant.role >= permission.role());
            of_role.filter_map(|grant| grant.group.clone()).collect()
        };
        let mut groups = match self {
            Self::All => Vec::new(),
            Self::Granted(grants) => of(grants),
            Self::Both(of_token, of_account) => [of(of_token), of(of_account)].concat(),
        };
        groups.sort();
        groups.dedup();
        groups
    }

    /// How far they reach for a permission.
    pub(crate) fn reach(&self, permission: Permission) -> Reach {
        match self {
            Self::All => Reach::Everything,
            Self::Granted(grants) => reach(grants, permission),
            Self::Both(of_token, of_account) => {
                match (reach(of_token, permission), reach(of_account, permission)) {
                    (Reach::Everything, reach) | (reach, Reach::Everything) => reach,
                    (Reach::Nothing, _) | (_, Reach::Nothing) => Reach::Nothing,
                    (Reach::Groups, Reach::Groups) => Reach::Groups,
                }
            }
        }
    }

    /// Whether they are at least as wide as other grants: nobody gives away what he does not have.
    pub(crate) fn include(&self, wanted: &[Grant]) -> bool {
        let include = |grants: &[Grant]| {
            wanted.iter().all(|wanted| {
                grants.iter().any(|grant| {
                    grant.role >= wanted.role && (grant.group.is_none() || grant.group == wanted.group)
                })
            })
        };
        match self {
            Self::All => true,
            Self::Granted(grants) => include(grants),
            Self::Both(of_token, of_account) => include(of_token) && include(of_account),
        }
    }

    /// The grants, as an interface shows them.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        match self {
            Self::All => vec![Grant::everywhere(Role::Admin)],
            Self::Granted(grants) | Self::Both(grants, _) => grants.to_vec(),
        }
    }
}

fn covers(grant: &Grant, permission: Permission, target: Target<'_>, members: &dyn Membership) -> bool {
    if grant.role < permission.role() {
        return false;
    }
    match (&grant.group, target) {
        (None, _) | (Some(_), Target::Shared) => true,
        (Some(_), Target::Server) => false,
        (Some(group), Target::Device(endpoint)) => members.contains(group, endpoint),
        (Some(group), Target::Group(name)) => group == name,
    }
}

fn reach(grants: &[Grant], permission: Permission) -> Reach {
    let of_role = || grants.iter().filter(|grant| grant.role >= permission.role());
    match of_role().next() {
        None => Reach::Nothing,
        Some(_) if of_role().any(|grant| grant.group.is_none()) => Reach::Everything,
        Some(_) => Reach::Groups,
    }
}

/// A principal may not do what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    pub(crate) principal: String,
    pub(crate) permission: Permission,
    pub(crate) target: String,
}

impl Forbidden {
    pub(crate) fn new(principal: &str, permission: Permission, target: Target<'_>) -> Self {
        let target = match target {
            Target::Server | Target::Shared => "the server".to_owned(),
            Target::Device(endpoint) => format!("the device {endpoint}"),
            Target::Group(group) => format!("the group {group}"),
        };
        Self { principal: principal.to_owned(), permission, target }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, permission, target } = self;
        let (words, role) = (permission.words(), permission.role());
        write!(
            f,
            "{principal} may not {words} {target}: that needs the role {role} there; ask an admin for it"
        )
    }
}

impl std::error::Error for Forbidden {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The group north has devices whose names begin with n.
    struct ByName;

    impl Membership for ByName {
        fn contains(&self, group: &str, endpoint: &str) -> bool {
            group == "north" && endpoint.starts_with('n')
        }
    }

    fn powers(grants: &[&str]) -> Powers {
        Powers::Granted(grants.iter().map(|grant| grant.parse().unwrap()).collect())
    }

    #[test]
    fn a_role_may_do_what_the_roles_before_it_may() {
        let may = |grant: &str, permission| powers(&[grant]).cover(permission, Target::Server, &ByName);
        for (permission, least) in
            [(Permission::Read, 0), (Permission::Command, 1), (Permission::ManageAccounts, 2)]
        {
            for (number, role) in ["viewer", "operator", "admin"].into_iter().enumerate() {
                assert_eq!(may(role, permission), number >= least, "{role} {permission:?}");
            }
        }
    }

    #[test]
    fn a_role_for_a_group_covers_what_is_in_the_group_and_nothing_else() {
        let north = powers(&["operator@north"]);
        let may = |target| north.cover(Permission::Command, target, &ByName);
        assert!(may(Target::Device("n-1")) && may(Target::Group("north")) && may(Target::Shared));
        assert!(!may(Target::Device("s-1")) && !may(Target::Group("south")) && !may(Target::Server));
        let both = powers(&["viewer", "operator@north"]);
        assert!(both.cover(Permission::Read, Target::Device("s-1"), &ByName));
        assert!(!both.cover(Permission::Command, Target::Device("s-1"), &ByName));
        assert_eq!(both.reach(Permission::Read), Reach::Everything);
        assert_eq!(both.reach(Permission::Command), Reach::Groups);
        assert_eq!(both.reach(Permission::ReadAudit), Reach::Nothing);
    }

    #[test]
    fn a_token_can_do_no_more_than_its_account() {
        let grants = |text: &str| -> Box<[Grant]> { Box::new([text.parse().unwrap()]) };
        let token = Powers::Both(grants("admin"), grants("operator@north"));
        assert!(token.cover(Permission::Command, Target::Device("n-1"), &ByName));
        assert!(!token.cover(Permission::Command, Target::Device("s-1"), &ByName));
        assert!(!token.cover(Permission::ManageAccounts, Target::Server, &ByName));
        assert_eq!(token.reach(Permission::Command), Reach::Groups);
    }

    #[test]
    fn nobody_gives_away_what_he_does_not_have() {
        let wanted = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Grant>>();
        let operator = powers(&["operator"]);
        assert!(operator.include(&wanted(&["viewer", "operator@north"])));
        assert!(!operator.include(&wanted(&["admin"])));
        let north = powers(&["operator@north"]);
        assert!(north.include(&wanted(&["viewer@north"])));
        assert!(!north.include(&wanted(&["viewer"])) && !north.include(&wanted(&["viewer@south"])));
    }
}
