//! ListSecrets, its filters and its order.

use std::sync::Arc;

use serde_json::json;

use super::context::{Answer, Context, page};
use super::describe::description;
use crate::secrets::input::{Input, check_length};
use crate::secrets::refusal::Refusal;
use crate::secrets::secret::Secret;
use crate::secrets::state::Found;

pub(super) fn list_secrets(cx: &mut Context<'_>, input: &Input) -> Answer {
    let planned = input.flag("IncludePlannedDeletion")?.unwrap_or(false);
    let filters = Filters::parse(input)?.unwrap_or_default();
    let descending = match input.text("SortOrder", 0, usize::MAX)? {
        // Oldest first, as moto's tests expect that are checked against the service.
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(not_in_enum("SortOrder", "[asc, desc]")),
    };
    let mut found = filters.select(cx, planned)?;
    match input.text("SortBy", 0, usize::MAX)? {
        None | Some("created-date") => found.sort_by_key(|(_, secret)| secret.created),
        Some("last-accessed-date") => found.sort_by_key(|(_, secret)| secret.accessed),
        Some("last-changed-date") => found.sort_by_key(|(_, secret)| secret.changed),
        Some("name") => found.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name)),
        Some(_) => {
            let allowed = "[created-date, last-accessed-date, last-changed-date, name]";
            return Err(not_in_enum("SortBy", allowed));
        }
    }
    if descending {
        found.reverse();
    }
    let (found, next) = page(found, input, 100)?;
    let list: Vec<_> = found
        .into_iter()
        .map(|(found, secret)| description(&secret, &found.region, "SecretVersionsToStages"))
        .collect();
    let mut answer = json!({"SecretList": list});
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn not_in_enum(member: &str, allowed: &str) -> Refusal {
    Refusal::constraint(member, &format!("Member must satisfy enum value set: {allowed}"))
}

#[derive(Clone, Copy)]
enum Attribute {
    Description,
    Name,
    TagKey,
    TagValue,
    PrimaryRegion,
    OwningService,
    All,
}

/// The filters of a request: a secret has to pass each, by any of its values.
#[derive(Default)]
pub(super) struct Filters(Vec<(Attribute, Vec<String>)>);

impl Filters {
    pub(super) fn parse(input: &Input) -> Result<Option<Self>, Refusal> {
        let Some(list) = input.structures("Filters")? else { return Ok(None) };
        check_length("Filters", list.len(), 0, 10)?;
        list.iter()
            .zip(1..)
            .map(|(filter, number)| parse_filter(filter, number))
            .collect::<Result<_, _>>()
            .map(Self)
            .map(Some)
    }

    /// The secrets of the caller's account and Region that pass.
    pub(super) fn select(
        &self,
        cx: &Context<'_>,
        planned: bool,
    ) -> Result<Vec<(Found, Arc<Secret>)>, Refusal> {
        let here = cx.state.in_region(&cx.caller.account, &cx.caller.region, cx.now).into_iter();
        // A secret that a lagging read does not see yet is not listed.
        let seen = here.filter_map(|f| cx.state.lagging(&f.key, cx.metadata_lag).ok().map(|s| (f, s)));
        let passes = |secret: &Secret| {
            (planned || secret.deletion.is_none())
                && self
                    .0
                    .iter()
                    .all(|(attribute, values)| values.iter().any(|v| matches(secret, *attribute, v)))
        };
        Ok(seen.filter(|(_, secret)| passes(secret)).collect())
    }
}

fn parse_filter(filter: &Input, number: usize) -> Result<(Attribute, Vec<String>), Refusal> {
    let attribute = match filter.required_text("Key", 0, usize::MAX)? {
        "description" => Attribute::Description,
        "name" => Attribute::Name,
        "tag-key" => Attribute::TagKey,
        "tag-value" => Attribute::TagValue,
        "primary-region" => Attribute::PrimaryRegion,
        "owning-service" => Attribute::OwningService,
        "all" => Attribute::All,
        key => {
            let allowed = "[all, name, tag-key, description, tag-value, primary-region, owning-service]";
            return Err(Refusal::validation(format!(
                "1 validation error detected: Value '{key}' at 'filters.{number}.member.key' failed to satisfy constraint: \
                 Member must satisfy enum value set: {allowed}"
            )));
        }
    };
    filter.required_list("Values")?;
    let values = filter.texts("Values", 1, 10)?.unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || " :_@/+=.-!".contains(c);
    if values.iter().any(|value| value.len() > 512 || !value.chars().all(allowed)) {
        let text = "Member must satisfy regular expression pattern: ^\\!?[a-zA-Z0-9 :_@\\/\\+\\=\\.\\-\\!]*$";
        return Err(Refusal::constraint("Values", text));
    }
    Ok((attribute, values.into_iter().map(ToOwned::to_owned).collect()))
}

/// Does the secret match one value? "!" in front turns the answer round.
///
/// By the documentation of `Filter`, names, tags and Regions match by prefix and case, and `all` breaks the value into
/// words and ignores case. `description` is documented as a prefix without case; moto's maintainers saw the service
/// treat it like `all`, which covers a prefix as well.
fn matches(secret: &Secret, attribute: Attribute, value: &str) -> bool {
    if let Some(value) = value.strip_prefix('!') {
        return !matches(secret, attribute, value);
    }
    let tags = secret.tags.iter().flatten();
    match attribute {
        Attribute::Name => secret.name.starts_with(value),
        Attribute::TagKey => tags.into_iter().any(|(key, _)| key.starts_with(value)),
        Attribute::TagValue => tags.into_iter().any(|(_, text)| text.starts_with(value)),
        // Only a replicated secret has one.
        Attribute::PrimaryRegion => !secret.replicas.is_empty() && secret.region.starts_with(value),
        // No secret here is owned by another service.
        Attribute::OwningService => false,
        Attribute::Description => secret.description.iter().any(|text| has_words(text, value)),
        Attribute::All => {
            let tags = tags.flat_map(|(key, text)| [key, text]);
            let texts = [&secret.name].into_iter().chain(&secret.description).chain(tags);
            texts.into_iter().any(|text| has_words(text, value))
        }
    }
}

/// Each word of `wanted` begins a word of `text`, whatever the case.
fn has_words(text: &str, wanted: &str) -> bool {
    let found = words(text);
    let wanted = words(wanted);
    !wanted.is_empty() && wanted.iter().all(|wanted| found.iter().any(|word| word.starts_with(wanted)))
}

/// The words of a text in small letters. A word also begins at a letter that is not small, if a small one follows: `AppBeta` has two, and
/// `COMPANYthings` is `company` less its last letter, and `ythings` (moto's test_with_all_filter_special_characters, run against the service).
fn words(text: &str) -> Vec<String> {
    let between = |c: char| c.is_whitespace() || "/-_+=.@:".contains(c);
    let mut words = Vec::new();
    for part in text.split(between) {
        let mut rest = part;
        while let Some(end) = next_word(rest) {
            words.push(rest[..end].to_lowercase());
            rest = &rest[end..];
        }
        words.push(rest.to_lowercase());
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Where the second word of a text begins.
fn next_word(text: &str) -> Option<usize> {
    let pairs = text.char_indices().zip(text.chars().skip(1)).skip(1);
    pairs
        .into_iter()
        .find(|((_, letter), next)| !letter.is_lowercase() && next.is_lowercase())
        .map(|((at, _), _)| at)
}
