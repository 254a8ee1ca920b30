//! Turns a provider file as written into a usable provider. Checks which keys need each other, and which variables each template
//! may use. Every problem names its line.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use super::definition::{Provider, Sites, is_name};
use super::schema::{Auth, Call, Calls, File, Make, Origin, Revoke, Shape};
use super::template::{Part, Variable};

/// What is wrong with a provider file, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a provider file. `builtin` finds the provider that `like` names.
pub(super) fn read(text: &str, builtin: &dyn Fn(&str) -> Option<File>) -> Result<Provider, Problem> {
    let file = parse(text)?;
    let checker = Checker { text, file: &file };
    let parent = match &file.like {
        None => None,
        Some(like) => Some(builtin(like.get_ref()).ok_or_else(|| {
            checker.at(like.span().start, format!("there is no built-in provider {:?}", like.get_ref()))
        })?),
    };
    checker.provider(parent.as_ref())
}

/// Checks the words and types of a file, but not how they fit together.
pub(super) fn parse(text: &str) -> Result<File, Problem> {
    toml::from_str(text).map_err(|error| {
        let line = line(text, error.span().map_or(0, |span| span.start));
        Problem { line, what: error.message().lines().collect::<Vec<_>>().join(" ") }
    })
}

fn line(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

struct Checker<'a> {
    text: &'a str,
    file: &'a File,
}

impl Checker<'_> {
    fn at(&self, offset: usize, what: impl Into<String>) -> Problem {
        Problem { line: line(self.text, offset), what: what.into() }
    }

    /// A problem of the whole file, at the line of its name.
    fn missing(&self, what: impl Into<String>) -> Problem {
        self.at(self.file.name.span().start, what)
    }

    fn provider(&self, parent: Option<&File>) -> Result<Provider, Problem> {
        let file = self.file;
        let name = file.name.get_ref();
        if !is_name(name) {
            return Err(self.at(file.name.span().start, "a name has lower-case letters, digits and hyphens"));
        }
        let calls = self.calls(parent);
        let provider = self.merged(parent, &calls)?;
        self.check_shape(&provider.secret)?;
        for (kind, call) in &calls {
            if let Some((call, own)) = call {
                self.check_call(kind, call, *own, &provider)?;
            }
        }
        self.check_together(&provider)?;
        Ok(provider)
    }

    /// The calls by name, each with whether this file has it itself.
    fn calls(&self, parent: Option<&File>) -> [(&'static str, Option<(Call, bool)>); 6] {
        let found = |part: fn(&Calls) -> &Option<Call>| {
            let own = part(&self.file.call).clone().map(|call| (call, true));
            own.or_else(|| Some((part(&parent?.call).clone()?, false)))
        };
        [
            ("issue", found(|calls| &calls.issue)),
            ("put", found(|calls| &calls.put)),
            ("test", found(|calls| &calls.test)),
            ("list", found(|calls| &calls.list)),
            ("revoke", found(|calls| &calls.revoke)),
            ("token", found(|calls| &calls.token)),
        ]
    }

    /// Takes each part from this file, or from the parent if this file does not have it.
    fn merged(
        &self,
        parent: Option<&File>,
        calls: &[(&str, Option<(Call, bool)>)],
    ) -> Result<Provider, Problem> {
        let file = self.file;
        // A file with its own servers does not inherit the parent's sites.
        let of_sites = if file.servers.is_some() { None } else { parent };
        let sites = either(file, of_sites, |file| &file.sites).into_iter().flatten();
        let shape = either(file, parent, |file| &file.secret).cloned();
        let ready_within = either(file, parent, |file| &file.ready_within).copied().unwrap_or(0);
        let make = either(file, parent, |file| &file.make).copied();
        Ok(Provider {
            name: file.name.get_ref().clone(),
            overlap: either(file, parent, |file| &file.overlap).copied().unwrap_or(true),
            revoke: either(file, parent, |file| &file.revoke).copied().unwrap_or(Revoke::Previous),
            ready_within: Duration::from_secs(ready_within.into()),
            servers: origins(either(file, parent, |file| &file.servers)),
            sites: sites.map(|(name, servers)| (name.clone(), origins(Some(servers)))).collect::<Sites>(),
            secret: shape
                .ok_or_else(|| self.missing("there is no [secret]: it says which field holds the key"))?,
            make: make.unwrap_or(Make { length: 40, punctuation: false }),
            calls: gathered(calls),
            auth: either(file, parent, |file| &file.auth).cloned().unwrap_or_default(),
        })
    }

    fn check_shape(&self, shape: &Shape) -> Result<(), Problem> {
        let own = shape.id.iter().chain(&shape.fields).chain(&shape.hidden);
        let mut names: Vec<&String> = own.chain([shape.key.get_ref()]).collect();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                Err(self.at(shape.key.span().start, format!("the field {:?} is declared twice", pair[0])))
            }
            None => Ok(()),
        }
    }

    /// Checks what one call needs, and which variables its templates may use.
    fn check_call(&self, kind: &str, call: &Call, own: bool, provider: &Provider) -> Result<(), Problem> {
        // A problem in an inherited part gets the line of `like`.
        let like = self.file.like.as_ref().map_or(0, |like| like.span().start);
        let place = |offset: usize| if own { offset } else { like };
        let at = |offset: usize, what: String| self.at(place(offset), format!("[call.{kind}]: {what}"));
        let path = call.path.span().start;
        if !matches!(call.path.get_ref().parts().first(), Some(Part::Text(text)) if text.starts_with('/')) {
            return Err(at(path, "the path begins with a slash".to_owned()));
        }
        let (server, offset) =
            call.server.as_ref().map_or(("api", path), |name| (name.get_ref().as_str(), name.span().start));
        if !provider.servers.is_empty() && !provider.servers.contains_key(server) {
            return Err(at(offset, format!("there is no server {server:?} in [servers]")));
        }
        let auth =
            match &call.auth {
                None => None,
                Some(name) => Some(provider.auth.get(name.get_ref()).ok_or_else(|| {
                    at(name.span().start, format!("there is no [auth.{}]", name.get_ref()))
                })?),
            };
        if call.json.is_some() && call.form.is_some() {
            return Err(at(path, "a body is either json or form".to_owned()));
        }
        for name in call.headers.keys().chain(auth.iter().flat_map(|auth| auth.headers.keys())) {
            if http::HeaderName::try_from(name.as_str()).is_err()
                || FRAMING.contains(&name.to_ascii_lowercase().as_str())
            {
                return Err(at(path, format!("{name:?} is not a header that a provider file may set")));
            }
        }
        let mut uses: Vec<(usize, &Variable)> = Vec::new();
        for template in call.templates().into_iter().chain(auth.into_iter().flat_map(Auth::templates)) {
            if !template.get_ref().is_text() {
                return Err(at(template.span().start, "|number and |json are for JSON bodies".to_owned()));
            }
            uses.extend(template.get_ref().variables().map(|variable| (template.span().start, variable)));
        }
        if let Some(json) = &call.json {
            uses.extend(json.get_ref().variables().into_iter().map(|variable| (json.span().start, variable)));
        }
        for (offset, variable) in uses {
            usable(kind, variable, provider).map_err(|what| at(offset, what))?;
        }
        self.check_answer(kind, call, provider).map_err(|what| at(path, what))
    }

    /// Checks what a call must find in its answer, and that it has no keys of other calls.
    fn check_answer(&self, kind: &str, call: &Call, provider: &Provider) -> Result<(), String> {
        let only: [(&str, &str, bool); 11] = [
            ("store", "issue", !call.store.is_empty()),
            ("optional", "issue", !call.optional.is_empty()),
            ("entries", "list", call.entries.is_some()),
            ("label", "list", call.label.is_some()),
            ("key", "list", call.key.is_some()),
            ("created", "list", call.created.is_some()),
            ("next", "list", call.next.is_some() || call.next_param.is_some() || call.more.is_some()),
            ("first_page", "list", call.first_page.is_some()),
            ("token", "token", call.token.is_some()),
            ("control", "test", call.control.is_some()),
            ("gone", "revoke", call.gone.is_some() || !call.gone_if.is_empty()),
        ];
        if let Some((key, owner, _)) = only.iter().find(|(_, owner, used)| *used && *owner != kind) {
            return Err(format!("\"{key}\" belongs to [call.{owner}]"));
        }
        if call.id.is_some() && !["list", "test"].contains(&kind) {
            return Err("\"id\" belongs to [call.list] and [call.test]".to_owned());
        }
        match kind {
            "issue" => check_stored(call, &provider.secret),
            "put" => need(
                provider.secret.id.is_none(),
                "a key that is made here has no id; an id that stays the same is one of \"fields\"",
            ),
            "list" => {
                need(call.entries.is_some(), "\"entries\" has to say where the keys are")?;
                need(call.id.is_some(), "\"id\" has to say where a key's id is")?;
                need(
                    call.next.is_some() || call.next_param.is_none(),
                    "there is no \"next\" from which to take \"next_param\"",
                )?;
                need(
                    call.label.is_some() || call.key.is_some(),
                    "\"label\" or \"key\" has to say what tells a key of ours from others",
                )
            }
            "revoke" => check_named(call, provider),
            "token" => {
                need(call.after.is_none(), "\"after\" belongs to the other calls")?;
                let used = provider.each_call().any(|call| provider.uses(call, &Variable::Access));
                need(call.token.is_some() || !used, "\"token\" has to say where the token is")
            }
            _ => Ok(()),
        }
    }

    fn check_together(&self, provider: &Provider) -> Result<(), Problem> {
        let Calls { issue, put, test, list, revoke, token } = &provider.calls;
        if issue.is_some() && put.is_some() {
            return Err(
                self.missing("the key is made either by the service ([call.issue]) or here ([call.put])")
            );
        }
        if (issue.is_some() || put.is_some()) && test.is_none() {
            return Err(
                self.missing("there is no [call.test]: a key that nobody has tried must not become current")
            );
        }
        if provider.revoke != Revoke::Never && (issue.is_some() || put.is_some()) && revoke.is_none() {
            return Err(self.missing(
                "there is no [call.revoke]; write revoke = \"never\" if old keys end by themselves",
            ));
        }
        if !provider.overlap && provider.revoke == Revoke::Previous && (issue.is_some() || put.is_some()) {
            let what = "overlap = false means that there is no previous key to revoke: write revoke = \"never\", or \"current\" if \
                        only one key is allowed";
            return Err(self.missing(what));
        }
        if provider.uses_revoked_id() && list.is_none() && !provider.proves_id() {
            return Err(self.missing(
                "[call.revoke] needs an id, and neither [call.list] nor [call.test] shows whose it is",
            ));
        }
        if token.is_none()
            && [issue, put, test, list, revoke]
                .into_iter()
                .flatten()
                .any(|call| provider.uses(call, &Variable::Access))
        {
            return Err(self.missing("{{access}} is used, and there is no [call.token]"));
        }
        if token.is_none() && provider.each_call().any(|call| call.after.is_some()) {
            return Err(self.missing("after = \"token\" is said, and there is no [call.token]"));
        }
        Ok(())
    }
}

fn need(there: bool, what: &str) -> Result<(), String> {
    if there { Ok(()) } else { Err(what.to_owned()) }
}

/// Checks that an issue call stores the new key, and its id with it. Otherwise the stored id would stay the old key's, and the
/// new key would look like a leftover.
fn check_stored(call: &Call, shape: &Shape) -> Result<(), String> {
    let key = shape.key.get_ref();
    need(call.store.contains_key(key), "\"store\" has to say where the new key is")?;
    need(
        shape.id.as_ref().is_none_or(|id| call.store.contains_key(id)),
        "\"store\" has to say where the new key's id is, because [secret] has one",
    )?;
    let together = shape.id.iter().chain([key]);
    if let Some(name) = together.into_iter().find(|name| call.optional.contains(name)) {
        return Err(format!("{name:?} may not be missing: the key and its id belong together"));
    }
    match call.store.keys().chain(&call.optional).find(|name| !shape.declares(name)) {
        Some(name) => Err(format!("the field {name:?} is not declared in [secret]")),
        None => Ok(()),
    }
}

/// Checks how a revoke call names the key. The acting version revokes listed keys, so the call must not name that version's own
/// key or fields. A label is allowed if it is the key's name and the listing cannot tell keys apart in any other way.
fn check_named(call: &Call, provider: &Provider) -> Result<(), String> {
    let by_id = provider.uses(call, &Variable::Id);
    if let Some(list) = &provider.calls.list {
        let by_label = provider.calls.put.is_some() && list.key.is_none();
        need(
            by_id || by_label && provider.uses(call, &Variable::Label),
            "with a [call.list] it has to name the key by {{id}}: listed keys are ended one by one",
        )?;
    }
    let own_id = provider.secret.id.clone().map(Variable::Secret);
    need(
        !call.variables().any(|variable| Some(variable) == own_id.as_ref()),
        "an id that stands in the secret proves nothing: name the key by {{id}}",
    )
}

/// A part of a file, or else of its parent.
fn either<'a, T>(
    file: &'a File,
    parent: Option<&'a File>,
    part: impl Fn(&'a File) -> &'a Option<T>,
) -> Option<&'a T> {
    part(file).as_ref().or_else(|| part(parent?).as_ref())
}

/// Headers that frame the message. A second value for one of them could smuggle a request.
const FRAMING: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"];

fn usable(kind: &str, variable: &Variable, provider: &Provider) -> Result<(), String> {
    let shape = &provider.secret;
    let listed = |names: &[&str]| {
        if names.contains(&kind) {
            Ok(())
        } else {
            Err(format!("this variable is for [call.{}] only", names.join("] and [call.")))
        }
    };
    match variable {
        Variable::Secret(name) if !shape.declares(name) => Err(format!(
            "the secret's field {name:?} is not declared: add it to \"fields\" or \"hidden\" in [secret]"
        )),
        Variable::Admin(_) if kind == "test" => {
            Err("a test is made with the key itself: use {{key}} or {{secret.NAME}}".to_owned())
        }
        Variable::Admin(name) if !shape.admin.contains(name) => {
            Err(format!("the admin's field {name:?} is not declared: add it to \"admin\" in [secret]"))
        }
        Variable::Id => listed(&["revoke"]),
        Variable::Page | Variable::Cursor => listed(&["list"]),
        Variable::Access => listed(&["issue", "put", "test", "list", "revoke"]),
        Variable::Label => listed(&["issue", "put", "revoke"]),
        Variable::Idempotency => listed(&["issue", "put"]),
        Variable::Prefix | Variable::Account => listed(&["issue", "put", "list", "revoke"]),
        _ => Ok(()),
    }
}

fn origins(servers: Option<&BTreeMap<String, Spanned<Origin>>>) -> BTreeMap<String, Origin> {
    servers.into_iter().flatten().map(|(name, origin)| (name.clone(), origin.get_ref().clone())).collect()
}

fn gathered(calls: &[(&str, Option<(Call, bool)>)]) -> Calls {
    let of = |kind: &str| {
        calls.iter().find(|(name, _)| *name == kind).and_then(|(_, call)| Some(call.as_ref()?.0.clone()))
    };
    Calls {
        issue: of("issue"),
        put: of("put"),
        test: of("test"),
        list: of("list"),
        revoke: of("revoke"),
        token: of("token"),
    }
}
