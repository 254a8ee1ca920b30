//! What a secret's keys are called at the service, so that they are known again there.

use aws_lc_rs::digest;
use rotation::version::VersionId;

/// What this secret calls its keys at the service. By default nothing, for calls that name none.
#[derive(Default)]
pub struct Names {
    /// What all of them begin with.
    pub prefix: String,
    /// The AWS account of the secret.
    pub account: String,
}

impl Names {
    /// From the secret's full ARN, so that no two secrets share a name.
    pub fn new(arn: &str) -> Names {
        let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
        Names { prefix: format!("turnlock-{}-", short(arn)), account }
    }

    /// The name of a version's key.
    pub fn label(&self, version: &VersionId) -> String {
        format!("{}{}", self.prefix, short(version.as_str()))
    }
}

/// Sixteen hex digits: short enough for every service, and nobody finds a second ARN or token for them.
fn short(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets_and_versions_apart() {
        let names = Names::new("arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf");
        assert_eq!(names.account, "123456789012");
        let (one, two) = (names.label(&VersionId::new("1")), names.label(&VersionId::new("2")));
        assert!(one != two && one.starts_with(&names.prefix) && one.len() == 42);
        assert_ne!(
            Names::new("arn:aws:secretsmanager:us-east-1:123456789012:secret:a-XyZxyZ").prefix,
            names.prefix
        );
    }
}
