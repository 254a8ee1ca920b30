//! Servers that are running already, named by an administrator's URL in an environment variable.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A server as its URL describes it.
pub(super) struct RunningServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    /// Empty if the server has no TLS.
    pub(super) ca_pem: String,
    pub(super) log: Option<PathBuf>,
}

/// The servers that a variable names, as one or several URLs separated by spaces. A URL has the form
/// `scheme://admin:password@host:port/?sslrootcert=FILE&log=FILE`; both files are optional.
pub(super) fn servers(variable: &str) -> io::Result<Vec<RunningServer>> {
    let urls = env::var(variable).unwrap_or_default();
    let parsed = urls.split_whitespace().map(|url| {
        // The URL holds a password, so the error does not show it.
        let form = "scheme://admin:password@host:port/, with % and two digits for special characters";
        parse(url)?.ok_or_else(|| io::Error::other(format!("{variable} holds something else than {form}")))
    });
    parsed.collect()
}

/// Returns `None` for a malformed URL, and an error for a file that cannot be read.
fn parse(url: &str) -> io::Result<Option<RunningServer>> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let option = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
    };
    let ca_pem = option("sslrootcert").map(fs::read_to_string).transpose()?.unwrap_or_default();
    let parts = || {
        let (_scheme, rest) = address.split_once("://")?;
        let (account, server) = rest.rsplit_once('@')?;
        let (user, password) = account.split_once(':')?;
        let (host, port) = server.trim_end_matches('/').rsplit_once(':')?;
        Some((decode(user)?, decode(password)?, host.to_owned(), port.parse().ok()?))
    };
    let running = |(user, password, host, port)| RunningServer {
        host,
        port,
        user,
        password,
        ca_pem,
        log: option("log"),
    };
    Ok(parts().map(running))
}

fn decode(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(piece.get(..2)?, 16).ok()?);
        bytes.extend(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let running = parse("mysql://ro%20ot:p%40:ss@db.example:3306/?log=/a/b&other=1").unwrap().unwrap();
        assert_eq!((&*running.user, &*running.password), ("ro ot", "p@:ss"));
        assert_eq!((&*running.host, running.port), ("db.example", 3306));
        assert_eq!((&*running.ca_pem, running.log), ("", Some(PathBuf::from("/a/b"))));
    }

    #[test]
    fn a_malformed_server_url_is_not_taken() {
        for url in ["", "mysql://host:1/", "mysql://a:b@host/", "mysql://a:%4@host:1/", "a:b@host:1"] {
            assert!(parse(url).unwrap().is_none(), "{url}");
        }
    }

    #[test]
    fn a_missing_certificate_is_an_error() {
        assert!(parse("mysql://a:b@host:1/?sslrootcert=/no/such/file").is_err());
    }
}
