//! SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802; PostgreSQL manual, "pg_authid").

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use postgres_protocol::password;
use rotation::value::encode::base64;

/// The number of iterations in every version before 16, and the default since.
const LEAST: u32 = 4096;
/// The driver refuses a login with more, and so do others.
const MOST: u32 = 100_000;

/// How often a password is hashed: as often as the server's setting says, within bounds. A user may set it for itself, too.
pub fn iterations(setting: Option<&str>) -> u32 {
    setting.and_then(|setting| setting.parse().ok()).unwrap_or(LEAST).clamp(LEAST, MOST)
}

/// The verifier of a password. Only ASCII is the same before and after SASLprep; the driver prepares other passwords.
pub(crate) fn scram(password: &str, iterations: u32) -> String {
    if !password.is_ascii() {
        return password::scram_sha_256(password.as_bytes());
    }
    let mut salt = [0; 16];
    rand::fill(&mut salt).expect("the operating system has random bytes");
    verifier(password, salt, iterations)
}

fn verifier(password: &str, salt: [u8; 16], iterations: u32) -> String {
    let rounds = NonZeroU32::new(iterations).expect("`iterations` gives no fewer than the least");
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    format!("SCRAM-SHA-256${iterations}:{}${}:{}", base64(salt), base64(client), base64(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3: its client's proof and its server's signature follow from these keys.
    #[test]
    fn the_example_of_the_rfc_has_its_keys() {
        let salt =
            [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
        assert_eq!(
            verifier("pencil", salt, 4096),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn a_setting_counts_within_bounds() {
        for (setting, used) in [
            (None, 4096),
            (Some("1"), 4096),
            (Some("20000"), 20_000),
            (Some("2000000000"), 100_000),
            (Some("x"), 4096),
        ] {
            assert_eq!(iterations(setting), used, "{setting:?}");
        }
    }
}
