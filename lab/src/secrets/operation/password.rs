//! GetRandomPassword.

use rand::RngExt;
use rand::seq::SliceRandom;
use serde_json::json;

use super::context::{Answer, Context};
use crate::secrets::input::Input;
use crate::secrets::refusal::Refusal;

const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &str = "0123456789";
/// "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" (GetRandomPassword, `ExcludePunctuation`).
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

pub(super) fn random_password(_: &mut Context<'_>, input: &Input) -> Answer {
    let length = input.number_in("PasswordLength", 1, 4096)?.unwrap_or(32);
    let length = usize::try_from(length).expect("the range is positive");
    let excluded = input.text("ExcludeCharacters", 0, 4096)?.unwrap_or_default();
    let each = input.flag("RequireEachIncludedType")?.unwrap_or(true);
    let mut types = Vec::new();
    for (exclude, letters) in [
        ("ExcludeLowercase", LOWERCASE),
        ("ExcludeUppercase", UPPERCASE),
        ("ExcludeNumbers", NUMBERS),
        ("ExcludePunctuation", PUNCTUATION),
    ] {
        if !input.flag(exclude)?.unwrap_or(false) {
            types.push(allowed(letters, excluded));
        }
    }
    types.retain(|letters| !letters.is_empty());
    let space = input.flag("IncludeSpace")?.unwrap_or(false);
    let space = if space { allowed(" ", excluded) } else { Vec::new() };
    if types.is_empty() && space.is_empty() {
        return Err(Refusal::invalid_parameter(
            "The parameters exclude every character: no password can be made of what is left.",
        ));
    }
    if each && length < types.len() {
        return Err(Refusal::invalid_parameter(format!(
            "Password length {length} is too short based on the required types."
        )));
    }
    Ok(json!({"RandomPassword": draw(&types, &space, length, each)}))
}

fn allowed(letters: &str, excluded: &str) -> Vec<char> {
    letters.chars().filter(|letter| !excluded.contains(*letter)).collect()
}

/// Draws a password, with a character of each type if that is required. A space may occur but is never required, because the API
/// reference lists the types for `RequireEachIncludedType` without it.
fn draw(types: &[Vec<char>], space: &[char], length: usize, each: bool) -> String {
    let mut random = rand::rng();
    let all = [&types.concat(), space].concat();
    let mut letters: Vec<char> = Vec::with_capacity(length);
    if each {
        letters.extend(types.iter().map(|letters| letters[random.random_range(0..letters.len())]));
    }
    letters.extend((letters.len()..length).map(|_| all[random.random_range(0..all.len())]));
    letters.shuffle(&mut random);
    letters.into_iter().collect()
}
