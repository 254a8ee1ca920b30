//! Texts with variables, as provider files write them: `/keys/{{id}}`. The variable is identified when the file is read. Its
//! value is looked up when a request is made, and `statement` escapes it for its place.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The names that can stand between the braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `key`: the key of the version that the call is made for.
    Key,
    /// `secret.NAME`: a field of that version.
    Secret(String),
    /// `admin.NAME`: a field of the admin secret, or of the secret itself if that names no admin.
    Admin(String),
    /// `access`: the access token that the call `token` gets.
    Access,
    /// `id`: the service's id of the key to be revoked.
    Id,
    /// `label`: the name that a version's key has at the service.
    Label,
    /// `prefix`: the text with which the labels of all keys of this secret begin.
    Prefix,
    /// `token`: the id of the version that this rotation makes.
    Token,
    /// `idempotency`: the same for every try of one rotation, and different for every other.
    Idempotency,
    /// `account`: the AWS account of the secret.
    Account,
    /// `time` and `time+DAYS`: now or later, as RFC 3339.
    Time(u32),
    /// `date` and `date+DAYS`: the same, without the hours.
    Date(u32),
    /// `page`: the number of the page to list.
    Page,
    /// `cursor`: the place where the next page begins; empty for the first page.
    Cursor,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As text.
    Text,
    /// `|number`: as a JSON number, even if the secret stores it as text.
    Number,
    /// `|json`: with its type in the secret, lists and objects included.
    Json,
}

/// A text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that is copied as it is.
    Text(String),
    /// A variable and its form.
    Variable(Variable, Form),
}

impl Template {
    /// Reads a template. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or("a {{ has no }}")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, form) = form(name.trim())?;
            parts.push(Part::Variable(variable(name)?, form));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.len() > 1
            && parts.iter().any(|part| matches!(part, Part::Variable(_, Form::Number | Form::Json)))
        {
            return Err("|number and |json stand alone in their text".to_owned());
        }
        Ok(Template(parts))
    }

    /// The pieces of the template.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The variables in the template.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(variable, _) => Some(variable),
            Part::Text(_) => None,
        })
    }

    /// Whether the template always gives text, because it has no `|number` and no `|json`.
    pub fn is_text(&self) -> bool {
        !self.0.iter().any(|part| matches!(part, Part::Variable(_, Form::Number | Form::Json)))
    }
}

fn form(name: &str) -> Result<(&str, Form), String> {
    match name.split_once('|').map(|(name, form)| (name.trim(), form.trim())) {
        None => Ok((name, Form::Text)),
        Some((name, "number")) => Ok((name, Form::Number)),
        Some((name, "json")) => Ok((name, Form::Json)),
        Some((_, other)) => Err(format!("there is no form |{other}; there are |number and |json")),
    }
}

fn variable(name: &str) -> Result<Variable, String> {
    if let Some(field) = name.strip_prefix("secret.") {
        return Ok(Variable::Secret(field.to_owned()));
    }
    if let Some(field) = name.strip_prefix("admin.") {
        return Ok(Variable::Admin(field.to_owned()));
    }
    let (word, days) = match name.split_once('+') {
        Some((word, days)) => (word, days.parse().map_err(|_| format!("{days:?} is not a number of days"))?),
        None => (name, 0),
    };
    match (word, days) {
        ("time", days) => Ok(Variable::Time(days)),
        ("date", days) => Ok(Variable::Date(days)),
        ("key", 0) => Ok(Variable::Key),
        ("access", 0) => Ok(Variable::Access),
        ("id", 0) => Ok(Variable::Id),
        ("label", 0) => Ok(Variable::Label),
        ("prefix", 0) => Ok(Variable::Prefix),
        ("token", 0) => Ok(Variable::Token),
        ("idempotency", 0) => Ok(Variable::Idempotency),
        ("account", 0) => Ok(Variable::Account),
        ("page", 0) => Ok(Variable::Page),
        ("cursor", 0) => Ok(Variable::Cursor),
        _ => Err(format!(
            "there is no variable {name:?}; there are key, secret.NAME, admin.NAME, access, id, label, prefix, token, \
             idempotency, account, time, date, page and cursor"
        )),
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        let text = String::deserialize(deserializer)?;
        Template::parse(&text).map_err(D::Error::custom)
    }
}

/// A JSON value whose texts are templates. Names of fields are copied as they are.
#[derive(Clone, Debug)]
pub enum Json {
    /// A text, or the value that `|number` or `|json` makes of it.
    Template(Template),
    /// An object, in the order of its keys.
    Object(Vec<(String, Json)>),
    /// A list.
    List(Vec<Json>),
    /// A number, true or false.
    Literal(Value),
}

impl Json {
    /// Every variable in the value.
    pub fn variables(&self) -> Vec<&Variable> {
        match self {
            Json::Template(template) => template.variables().collect(),
            Json::Object(fields) => fields.iter().flat_map(|(_, value)| value.variables()).collect(),
            Json::List(values) => values.iter().flat_map(Json::variables).collect(),
            Json::Literal(_) => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text, a number, true or false, a list or a table")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json, E> {
        Template::parse(text).map(Json::Template).map_err(E::custom)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Literal(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Literal(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Literal(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        assert!(Template::parse(text).unwrap_err().contains(expected), "{text}");
    }

    #[test]
    fn texts_and_variables_are_told_apart() {
        let template = Template::parse("/v1/{{ secret.project }}/keys/{{id}}").unwrap();
        assert_eq!(
            template.parts(),
            [
                Part::Text("/v1/".into()),
                Part::Variable(Variable::Secret("project".into()), Form::Text),
                Part::Text("/keys/".into()),
                Part::Variable(Variable::Id, Form::Text),
            ]
        );
        assert_eq!(Template::parse("").unwrap().parts(), []);
        // GraphQL ends like this; only two opening braces begin a variable.
        assert_eq!(Template::parse("{ a { b }}").unwrap().parts(), [Part::Text("{ a { b }}".into())]);
        assert_eq!(
            Template::parse("{{date+90}}").unwrap().parts(),
            [Part::Variable(Variable::Date(90), Form::Text)]
        );
        assert!(!Template::parse("{{secret.n|number}}").unwrap().is_text());
    }

    #[test]
    fn a_malformed_template_is_refused_with_the_reason() {
        refused("{{key", "has no }}");
        refused("{{kye}}", "no variable \"kye\"");
        refused("{{key+3}}", "no variable");
        refused("{{date+x}}", "not a number of days");
        refused("{{key|upper}}", "no form |upper");
        refused("a {{secret.n|json}}", "stand alone");
        refused("{{}}", "no variable");
    }
}
