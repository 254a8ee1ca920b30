//! One request body. Reading a member checks the constraints of the service model.

use serde_json::{Map, Value};

use super::name::{self, SecretId};
use super::refusal::Refusal;

/// The members of a request.
#[derive(Default)]
pub(crate) struct Input(Map<String, Value>);

impl Input {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let body = if body.is_empty() { b"{}" } else { body };
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            // The parser's own message could quote the body, which may hold a secret.
            _ => Err(Refusal::new("SerializationException", "The request body is not a JSON object.")),
        }
    }

    /// Names are validated before anything else, in every operation.
    pub(crate) fn check_names(&self) -> Result<(), Refusal> {
        if let Some(name) = self.text("Name", 1, 512)? {
            name::check_name(name)?;
        }
        if let Some(id) = self.text("SecretId", 1, 2048)? {
            SecretId::parse(id)?;
        }
        Ok(())
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// A text of `min` to `max` characters.
    pub(crate) fn text(&self, name: &str, min: usize, max: usize) -> Result<Option<&str>, Refusal> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| wrong_type(name, "a string"))?;
        check_length(name, text.chars().count(), min, max)?;
        Ok(Some(text))
    }

    pub(crate) fn required_text(&self, name: &str, min: usize, max: usize) -> Result<&str, Refusal> {
        self.text(name, min, max)?.ok_or_else(|| missing(name))
    }

    pub(crate) fn secret_id(&self) -> Result<SecretId, Refusal> {
        SecretId::parse(self.required_text("SecretId", 1, 2048)?)
    }

    pub(crate) fn version_id(&self, name: &str) -> Result<Option<&str>, Refusal> {
        self.text(name, 32, 64)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some(value) = self.member(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| wrong_type(name, "a boolean"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.member(name) else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| wrong_type(name, "a whole number"))
    }

    pub(crate) fn number_in(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Refusal> {
        let number = self.number(name)?;
        match number {
            Some(n) if n < min => Err(Refusal::constraint(
                name,
                &format!("Member must have value greater than or equal to {min}"),
            )),
            Some(n) if n > max => {
                Err(Refusal::constraint(name, &format!("Member must have value less than or equal to {max}")))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn list(&self, name: &str) -> Result<Option<&[Value]>, Refusal> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| wrong_type(name, "a list"))?;
        Ok(Some(list))
    }

    pub(crate) fn required_list(&self, name: &str) -> Result<&[Value], Refusal> {
        self.list(name)?.ok_or_else(|| missing(name))
    }

    /// A list of `min` to `max` texts.
    pub(crate) fn texts(&self, name: &str, min: usize, max: usize) -> Result<Option<Vec<&str>>, Refusal> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        check_length(name, list.len(), min, max)?;
        let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        if texts.len() != list.len() {
            return Err(wrong_type(name, "a list of strings"));
        }
        Ok(Some(texts))
    }

    /// A structure, read with the same checks as the request itself.
    pub(crate) fn structure(&self, name: &str) -> Result<Option<Self>, Refusal> {
        self.member(name).map(|value| Self::from_value(name, value)).transpose()
    }

    pub(crate) fn structures(&self, name: &str) -> Result<Option<Vec<Self>>, Refusal> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        list.iter().map(|value| Self::from_value(name, value)).collect::<Result<_, _>>().map(Some)
    }

    fn from_value(name: &str, value: &Value) -> Result<Self, Refusal> {
        value.as_object().cloned().map(Self).ok_or_else(|| wrong_type(name, "a structure"))
    }

    /// A member as the caller sent it, for the call log.
    pub(crate) fn raw(&self, name: &str) -> Option<String> {
        self.member(name).and_then(Value::as_str).map(ToOwned::to_owned)
    }
}

pub(crate) fn missing(name: &str) -> Refusal {
    Refusal::constraint(name, "Member must not be null")
}

fn wrong_type(name: &str, expected: &str) -> Refusal {
    Refusal::new("SerializationException", format!("{name} must be {expected}."))
}

pub(crate) fn check_length(name: &str, length: usize, min: usize, max: usize) -> Result<(), Refusal> {
    if length < min {
        let text = format!("Member must have length greater than or equal to {min}");
        return Err(Refusal::constraint(name, &text));
    }
    if length > max {
        let text = format!("Member must have length less than or equal to {max}");
        return Err(Refusal::constraint(name, &text));
    }
    Ok(())
}
