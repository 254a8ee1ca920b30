//! The contents of a MySQL or MariaDB server's folder, and how to start the server there.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use super::options::MySqlOptions;
use super::programs;
use super::release::Flavor;
use crate::certs::Authority;
use crate::servers::folder::Folder;
use crate::servers::instance::Plan;
use crate::servers::server::LaidOut;

/// Finds or fetches the programs, and prepares the server's folder.
pub(super) fn prepare(options: &MySqlOptions) -> io::Result<LaidOut> {
    let programs = programs::find(options.release)?;
    let template = programs.template(options.release)?;
    let folder = Folder::new()?;
    folder.copy(&template.join("data"), "data")?;
    let authority = Authority::new();
    let identity = options.tls.certificate().map(|kind| authority.issue(kind));
    if let Some(identity) = &identity {
        folder.write("server.pem", &identity.certificate_pem)?;
        folder.write("server.key", &identity.key_pem)?;
    }
    let (program, mut arguments) = programs.server();
    if !options.plugins.is_empty() {
        arguments.extend(programs.plugins(options.release)?);
        arguments.extend(options.plugins.iter().map(|name| format!("--plugin-load-add={name}").into()));
    }
    let (program, options) = (program.clone(), options.clone());
    let last_signal = program.last_signal();
    let plan = Plan {
        name: options.release.to_string(),
        command: Box::new(move |folder, port| {
            let settings = settings(&options, folder, port);
            let words = settings.into_iter().map(|(name, value)| OsString::from(format!("--{name}={value}")));
            program.server_command(folder).into_iter().chain(arguments.iter().cloned()).chain(words).collect()
        }),
        is_ready,
        stop_signal: "TERM",
        last_signal,
    };
    let password = fs::read_to_string(template.join("password"))?;
    Ok(LaidOut { scheme: "mysql", superuser: "root", password, authority, identity, plan, folder })
}

/// Whether the server has logged the last line of its start.
fn is_ready(_folder: &Path, log: &str) -> bool {
    log.contains("ready for connections")
}

fn settings(options: &MySqlOptions, folder: &Path, port: u16) -> Vec<(String, String)> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut settings = vec![
        ("datadir", file("data")),
        ("tmpdir", file("")),
        ("socket", file("socket")),
        ("pid-file", file("pid")),
        ("bind-address", "127.0.0.1".into()),
        ("port", port.to_string()),
        ("general-log-file", file("general.log")),
        ("slow-query-log-file", file("slow.log")),
        ("log-bin", file("data/binlog")),
        ("server-id", "1".into()),
        // Nobody needs the data after a crash of the machine.
        ("innodb-flush-log-at-trx-commit", "0".into()),
        ("innodb-doublewrite", "OFF".into()),
        ("sync-binlog", "0".into()),
        ("innodb-buffer-pool-size", "32M".into()),
    ];
    match options.tls.certificate() {
        Some(_) => settings.extend([("ssl-cert", file("server.pem")), ("ssl-key", file("server.key"))]),
        None => settings.push(match options.release.flavor {
            Flavor::MySql => ("tls-version", String::new()),
            Flavor::MariaDb => ("ssl", "0".into()),
        }),
    }
    if options.release.flavor == Flavor::MySql {
        // Switches off the second port, and the folder that statements may read and write.
        settings.extend([("mysqlx", "OFF".into()), ("secure-file-priv", "NULL".into())]);
    }
    let given = options.settings.iter().map(|(name, value)| (name.clone(), value.clone()));
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(given).collect()
}
