//! New passwords. They satisfy the deployment's settings and the server's rules, and every allowed password is equally likely.

use std::ops::RangeInclusive;

use rand::TryRng;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::value::settings::PasswordSettings;

/// With less entropy than this somebody could guess the password, so such a policy is refused.
const LEAST_BITS: f64 = 64.0;

const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
/// The characters that GetRandomPassword calls punctuation (Secrets Manager API reference).
pub const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The passwords that a server accepts, and AWS's defaults for that server.
pub struct Rules {
    /// The lengths that the server accepts.
    pub lengths: RangeInclusive<usize>,
    /// The length, if the deployment does not set one.
    pub length: usize,
    /// The excluded characters, if the deployment does not set any.
    pub exclude: &'static str,
    /// The characters that the server refuses, whatever the deployment sets.
    pub never: &'static str,
    /// Whether the server requires a lower-case letter, an upper-case letter and a digit.
    pub mixed: bool,
}

/// A policy that passwords can satisfy: the classes of characters to draw from.
pub struct Policy {
    classes: Vec<Vec<u8>>,
    length: usize,
    each: bool,
}

impl Policy {
    /// Combines the deployment's settings with the server's rules, or says why they contradict each other.
    pub fn new(asked: &PasswordSettings, rules: &Rules) -> Result<Policy> {
        let length = match &asked.length {
            None => rules.length,
            Some(text) => text.parse().map_err(|_| bad("PASSWORD_LENGTH is not a number"))?,
        };
        if !rules.lengths.contains(&length) {
            let (least, most) = (rules.lengths.start(), rules.lengths.end());
            return Err(bad(&format!(
                "PASSWORD_LENGTH is {length}, and this server takes {least} to {most}"
            )));
        }
        let excluded = asked.exclude.as_deref().unwrap_or(rules.exclude);
        let class = |characters: &str, left_out: bool, needed: bool| {
            let class = characters.chars().filter(|c| !excluded.contains(*c) && !rules.never.contains(*c));
            let class: Vec<u8> = class.map(|c| c as u8).filter(|_| !left_out).collect();
            if class.is_empty() && needed && rules.mixed {
                return Err(bad(&format!(
                    "this server insists on one of {characters}, and all of them are excluded"
                )));
            }
            Ok(class)
        };
        let mut classes = vec![
            class(LOWERCASE, asked.no_lowercase, true)?,
            class(UPPERCASE, asked.no_uppercase, true)?,
            class(DIGITS, asked.no_digits, true)?,
            class(PUNCTUATION, asked.no_punctuation, false)?,
        ];
        classes.retain(|class| !class.is_empty());
        let policy = Policy { classes, length, each: !asked.any_mix || rules.mixed };
        let bits = policy.bits();
        if bits < LEAST_BITS {
            return Err(bad(&format!(
                "the policy leaves {bits:.0} bits of entropy, and {LEAST_BITS} are the least"
            )));
        }
        Ok(policy)
    }

    /// Makes a new password. It draws whole candidates until one fits, so all fitting passwords are equally likely.
    pub fn generate(&self, rng: &mut impl TryRng) -> Result<Secret> {
        let alphabet = Zeroizing::new(self.classes.concat());
        loop {
            let mut candidate = Zeroizing::new(Vec::with_capacity(self.length));
            while candidate.len() < self.length {
                candidate.push(alphabet[below(alphabet.len(), rng)?]);
            }
            if !self.each
                || self.classes.iter().all(|class| candidate.iter().any(|byte| class.contains(byte)))
            {
                let text = candidate.iter().map(|byte| char::from(*byte));
                let mut password = String::with_capacity(self.length);
                password.extend(text);
                return Ok(Secret::new(password));
            }
        }
    }

    /// The entropy of a password from `generate`, in bits. Strings that miss a class do not count.
    fn bits(&self) -> f64 {
        let all: usize = self.classes.iter().map(Vec::len).sum();
        if all == 0 {
            return 0.0;
        }
        let length = self.length as f64;
        length * (all as f64).log2() + if self.each { self.fitting().log2() } else { 0.0 }
    }

    /// The share of strings with a character of every class, by inclusion and exclusion.
    fn fitting(&self) -> f64 {
        let all: usize = self.classes.iter().map(Vec::len).sum();
        let mut share = 0.0;
        for missing in 0..1_u32 << self.classes.len() {
            let absent = self.classes.iter().enumerate().filter(|(i, _)| missing >> i & 1 == 1);
            let left = all - absent.map(|(_, class)| class.len()).sum::<usize>();
            let sign = if missing.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
            share += sign * (left as f64 / all as f64).powi(i32::try_from(self.length).unwrap_or(i32::MAX));
        }
        // If no string fits, rounding can leave a tiny number, even a negative one.
        if share > 1e-12 { share } else { 0.0 }
    }
}

/// A random number below `n` (at most 256), all equally likely. A byte from the incomplete last round is drawn again.
fn below(n: usize, rng: &mut impl TryRng) -> Result<usize> {
    let whole_rounds = 256 - 256 % n;
    loop {
        let mut byte = [0];
        rng.try_fill_bytes(&mut byte)
            .map_err(|_| Error::new(Kind::Bug, "the operating system's random generator failed"))?;
        if usize::from(byte[0]) < whole_rounds {
            return Ok(usize::from(byte[0]) % n);
        }
    }
}

fn bad(why: &str) -> Error {
    Error::new(Kind::BadPolicy, format!("no password can be made: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::SysRng;

    use super::*;

    const RULES: Rules = Rules { lengths: 1..=128, length: 32, exclude: ":/@\"'\\", never: "", mixed: false };

    fn asked() -> PasswordSettings {
        PasswordSettings::default()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "exposes a password made for this test, to look at its characters"
    )]
    fn sample(policy: &Policy) -> String {
        policy.generate(&mut SysRng).unwrap().expose().to_owned()
    }

    #[test]
    fn the_default_has_every_type_and_no_excluded_character() {
        let policy = Policy::new(&asked(), &RULES).unwrap();
        for _ in 0..500 {
            let password = sample(&policy);
            assert_eq!(password.len(), 32);
            for class in [LOWERCASE, UPPERCASE, DIGITS, PUNCTUATION] {
                assert!(password.contains(|c| class.contains(c)), "{password}");
            }
            assert!(!password.contains(|c| RULES.exclude.contains(c)), "{password}");
        }
    }

    /// A chi-squared test over single characters. With 87 degrees of freedom, chance exceeds 170 less than once in a million runs.
    #[test]
    fn characters_are_uniform() {
        let settings = PasswordSettings { any_mix: true, length: Some("100".into()), ..asked() };
        let policy = Policy::new(&settings, &RULES).unwrap();
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..2_000 {
            sample(&policy).chars().for_each(|c| *seen.entry(c).or_insert(0_u32) += 1);
        }
        assert_eq!(seen.len(), 88);
        let expected = 200_000.0 / 88.0;
        let chi: f64 = seen.values().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
        assert!(chi < 170.0, "chi-squared {chi}");
    }

    /// The policy is small enough to count: every fitting password comes up, about equally often.
    #[test]
    fn every_possible_password_is_equally_likely() {
        let policy = Policy { classes: vec![b"ab".to_vec(), b"1".to_vec()], length: 3, each: true };
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..18_000 {
            *seen.entry(sample(&policy)).or_insert(0_u32) += 1;
        }
        assert_eq!(seen.len(), 27 - 8 - 1);
        assert!((policy.fitting() * 27.0 - 18.0).abs() < 1e-9);
        // 18 outcomes, 1,000 each expected; five standard deviations are about 154.
        assert!(seen.values().all(|n| (846..=1154).contains(n)), "{seen:?}");
    }

    #[test]
    fn a_policy_that_is_impossible_or_too_weak_is_refused() {
        let mixed = Rules { mixed: true, lengths: 8..=64, ..RULES };
        let with = |change: fn(&mut PasswordSettings)| {
            let mut settings = asked();
            change(&mut settings);
            settings
        };
        for (settings, rules, part) in [
            (with(|s| s.length = Some("ten".into())), &RULES, "not a number"),
            (with(|s| s.length = Some("".into())), &RULES, "not a number"),
            (with(|s| s.length = Some("0".into())), &RULES, "takes 1 to 128"),
            (with(|s| s.length = Some("65".into())), &mixed, "takes 8 to 64"),
            (with(|s| s.length = Some("9".into())), &RULES, "bits of entropy"),
            (with(|s| s.no_digits = true), &mixed, "insists on one of 0123456789"),
            (with(|s| s.exclude = Some(DIGITS.into())), &mixed, "insists on one of 0123456789"),
            (
                with(|s| {
                    (s.no_digits, s.no_lowercase, s.no_uppercase, s.no_punctuation) =
                        (true, true, true, true);
                }),
                &RULES,
                "0 bits",
            ),
        ] {
            let Err(error) = Policy::new(&settings, rules) else { panic!("accepted, expected {part}") };
            assert!(error.kind() == Kind::BadPolicy && error.to_string().contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_policy_that_is_accepted_is_kept(
            length in 8_usize..40, exclude in "[ -~]{0,20}", flags in prop::array::uniform4(any::<bool>()), any_mix: bool, mixed: bool,
        ) {
            let settings = PasswordSettings {
                length: Some(length.to_string()), exclude: Some(exclude.clone()), no_lowercase: flags[0],
                no_uppercase: flags[1], no_digits: flags[2], no_punctuation: flags[3], any_mix,
            };
            if let Ok(policy) = Policy::new(&settings, &Rules { mixed, never: "~", ..RULES }) {
                let password = sample(&policy);
                prop_assert_eq!(password.len(), length);
                prop_assert!(!password.contains(|c| exclude.contains(c) || c == '~'));
                for (class, left_out) in [LOWERCASE, UPPERCASE, DIGITS, PUNCTUATION].iter().zip(flags) {
                    prop_assert!(!(left_out && password.contains(|c| class.contains(c))));
                }
            }
        }
    }
}
