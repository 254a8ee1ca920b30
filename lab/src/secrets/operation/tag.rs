//! TagResource and UntagResource.

use serde_json::json;

use super::context::{Answer, Context};
use crate::secrets::input::Input;
use crate::secrets::refusal::Refusal;

/// "Maximum number of tags per secret: 50" (TagResource).
const MOST_TAGS: usize = 50;

pub(super) fn tag_resource(cx: &mut Context<'_>, input: &Input) -> Answer {
    input.required_list("Tags")?;
    let given = tags(input)?.unwrap_or_default();
    let found = cx.find_primary(input, "TagResource")?;
    let mut tags = cx.secret(&found)?.tags.clone().unwrap_or_default();
    for (key, value) in given {
        match tags.iter_mut().find(|(known, _)| *known == key) {
            Some(tag) => tag.1 = value,
            None => tags.push((key, value)),
        }
    }
    check_count(&tags)?;
    cx.modify(&found.key)?.tags = Some(tags);
    Ok(json!({}))
}

pub(super) fn untag_resource(cx: &mut Context<'_>, input: &Input) -> Answer {
    input.required_list("TagKeys")?;
    let keys = input.texts("TagKeys", 0, usize::MAX)?.unwrap_or_default();
    let found = cx.find_primary(input, "UntagResource")?;
    if let Some(tags) = &mut cx.modify(&found.key)?.tags {
        tags.retain(|(key, _)| !keys.contains(&key.as_str()));
    }
    Ok(json!({}))
}

/// The tags of a request, checked by the rules of TagResource.
pub(super) fn tags(input: &Input) -> Result<Option<Vec<(String, String)>>, Refusal> {
    let Some(list) = input.structures("Tags")? else { return Ok(None) };
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in list {
        let key = tag.required_text("Key", 1, 128)?;
        let value = tag.text("Value", 0, 256)?.unwrap_or_default();
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            let text = "Tag keys that start with aws: are reserved for AWS use.";
            return Err(Refusal::invalid_parameter(text));
        }
        if tags.iter().any(|(known, _)| known == key) {
            return Err(Refusal::invalid_parameter(format!("The tag key {key} is given twice.")));
        }
        tags.push((key.into(), value.into()));
    }
    check_count(&tags)?;
    Ok(Some(tags))
}

fn check_count(tags: &[(String, String)]) -> Result<(), Refusal> {
    if tags.len() > MOST_TAGS {
        return Err(Refusal::invalid_parameter(format!("A secret can have at most {MOST_TAGS} tags.")));
    }
    Ok(())
}
