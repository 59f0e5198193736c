//! Documents: what operators set up, in small entries that only their service can read.

/// What a document is about. The word is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DocumentKind {
    /// What operators note of a device: tags, fields, notes. By its endpoint name.
    Device,
    /// When a device usually comes. By its endpoint name.
    Habit,
    /// The last values of a device that came by reads. By its endpoint name.
    Values,
    /// A group of devices. By its name.
    Group,
    /// A filter that was saved. By its name.
    Filter,
    /// A campaign. By its id.
    Campaign,
    /// What a campaign knows of one device. By the campaign's id, a slash, and the endpoint name.
    CampaignDevice,
    /// A job. By its id.
    Job,
    /// What a job knows of one device. By the job's id, a slash, and the endpoint name.
    JobDevice,
    /// A desired state. By its name.
    Desired,
    /// How far a device is from what is wanted of it. By its endpoint name.
    DesiredDevice,
    /// An account of a person. By its name.
    Account,
    /// An API token. By the SHA-256 of its secret.
    Token,
    /// A sign-in. By the SHA-256 of its cookie.
    SignIn,
    /// A rule of alerts. By its name.
    AlertRule,
    /// An alert that is pending, fires, or has fired lately. By the rule's name, a slash, and its subject.
    Alert,
    /// An alert that is over. By its id.
    AlertEnded,
    /// A silence. By its id.
    AlertSilence,
    /// A receiver of alerts. By its name.
    AlertReceiver,
    /// A message to a receiver. By its id.
    AlertDelivery,
}

impl DocumentKind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Device,
        Self::Habit,
        Self::Values,
        Self::Group,
        Self::Filter,
        Self::Campaign,
        Self::CampaignDevice,
        Self::Job,
        Self::JobDevice,
        Self::Desired,
        Self::DesiredDevice,
        Self::Account,
        Self::Token,
        Self::SignIn,
        Self::AlertRule,
        Self::Alert,
        Self::AlertEnded,
        Self::AlertSilence,
        Self::AlertReceiver,
        Self::AlertDelivery,
    ];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Habit => "habit",
            Self::Values => "values",
            Self::Group => "group",
            Self::Filter => "filter",
            Self::Campaign => "campaign",
            Self::CampaignDevice => "campaign_device",
            Self::Job => "job",
            Self::JobDevice => "job_device",
            Self::Desired => "desired",
            Self::DesiredDevice => "desired_device",
            Self::Account => "account",
            Self::Token => "token",
            Self::SignIn => "sign_in",
            Self::AlertRule => "alert_rule",
            Self::Alert => "alert",
            Self::AlertEnded => "alert_ended",
            Self::AlertSilence => "alert_silence",
            Self::AlertReceiver => "alert_receiver",
            Self::AlertDelivery => "alert_delivery",
        }
    }
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// What it is about.
    pub kind: DocumentKind,
    /// Its name among those of its kind.
    pub name: String,
    /// What only its service can read.
    pub body: Vec<u8>,
    /// When it last changed; milliseconds since the epoch.
    pub changed_at: u64,
}

/// The first key behind all that begin with a prefix; `None` if there is none.
pub(crate) fn behind(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match u32::from(last) {
            0xD7FF => char::from_u32(0xE000),
            code => char::from_u32(code + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_behind_a_prefix_is_greater_than_all_keys_with_it() {
        for (prefix, expected) in
            [("", None), ("a", Some("b")), ("7/", Some("70")), ("\u{D7FF}", Some("\u{E000}"))]
        {
            assert_eq!(behind(prefix).as_deref(), expected, "{prefix:?}");
        }
        assert_eq!(behind("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10FFFF}"), None);
    }
}
