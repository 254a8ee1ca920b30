//! The names that a secret's keys have at the service. A later invocation recognizes the keys by these names.

use aws_lc_rs::digest;
use rotation::value::encode::hex;
use rotation::value::version::VersionId;

/// The names that this secret gives its keys. The default is empty, for calls that name no key.
#[derive(Default)]
pub struct Names {
    /// The beginning of every name.
    pub prefix: String,
    /// The AWS account of the secret.
    pub account: String,
}

impl Names {
    /// Makes the names from the secret's full ARN, so that no two secrets share a name.
    pub fn new(arn: &str) -> Names {
        let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
        Names { prefix: format!("turnlock-{}-", short(arn)), account }
    }

    /// The name of a version's key.
    pub fn label(&self, version: &VersionId) -> String {
        format!("{}{}", self.prefix, short(version.as_str()))
    }
}

/// Sixteen hex digits of a digest: short enough for every service, long enough that nobody finds a second ARN or token with the
/// same digits.
fn short(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hex(&hash.as_ref()[..8])
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
