//! The contents of a PostgreSQL server's folder, and how to start the server there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::binaries;
use super::options::{Auth, PostgresOptions};
use crate::certs::Authority;
use crate::servers::folder::Folder;
use crate::servers::instance::Plan;
use crate::servers::server::LaidOut;

/// Finds or fetches the programs, and prepares the server's folder.
pub(super) fn prepare(options: &PostgresOptions) -> io::Result<LaidOut> {
    let binaries = binaries::find(options.version)?;
    let template = binaries::template(options.version, &binaries)?;
    let folder = Folder::new()?;
    let data = folder.copy(&template.join("data"), "data")?;
    let authority = Authority::new();
    let identity = options.tls.certificate().map(|kind| authority.issue(kind));
    if let Some(identity) = &identity {
        folder.write("data/server.crt", &identity.certificate_pem)?;
        folder.write("data/server.key", &identity.key_pem)?;
    }
    // initdb made both, so they belong to the server's account.
    fs::write(data.join("pg_hba.conf"), rules(options))?;
    File::options()
        .append(true)
        .open(data.join("postgresql.conf"))?
        .write_all(settings(options).as_bytes())?;
    let program = binaries.postgres;
    let plan = Plan {
        name: format!("PostgreSQL {}", options.version),
        command: Box::new(move |folder, port| {
            let (data, port) = (folder.join("data"), port.to_string());
            let mut command = program.server_command(folder);
            command.extend(["-D".into(), data.into(), "-p".into(), port.into()]);
            command
        }),
        is_ready,
        stop_signal: "INT",  // as `pg_ctl stop -m fast`
        last_signal: "QUIT", // as `-m immediate`
    };
    let password = fs::read_to_string(template.join("password"))?;
    Ok(LaidOut { scheme: "postgres", superuser: "postgres", password, authority, identity, plan, folder })
}

/// The server writes its state into the last line of this file, where `pg_ctl` reads it.
fn is_ready(folder: &Path, _log: &str) -> bool {
    let state = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    state.lines().nth(7).is_some_and(|line| ["ready", "standby"].contains(&line.trim()))
}

/// Settings that follow initdb's own, so they win.
fn settings(options: &PostgresOptions) -> String {
    let tls = if options.tls.certificate().is_some() { "on" } else { "off" };
    let encryption = if options.auth == Auth::Md5 { "md5" } else { "scram-sha-256" };
    let ours = [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("ssl", tls), // with server.crt and server.key, its defaults
        ("password_encryption", encryption),
        // Nobody needs the data after a crash of the machine.
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        // Every connection is a forked process, so little memory makes logins fast; tests also need little vacuuming.
        ("shared_buffers", "16MB"),
        ("autovacuum", "off"),
        // Shared memory is then a file in the data folder, which is removed even if the server is killed.
        ("dynamic_shared_memory_type", "mmap"),
    ];
    let given = options.settings.iter().map(|(name, value)| (&**name, &**value));
    ours.into_iter()
        .chain(given)
        .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
        .collect()
}

fn rules(options: &PostgresOptions) -> String {
    let method = match options.auth {
        Auth::Scram => "scram-sha-256",
        Auth::Md5 => "md5",
        Auth::Password => "password",
        Auth::Trust => "trust",
    };
    let given: String = options.rules.iter().map(|line| format!("{line}\n")).collect();
    format!("host all postgres 127.0.0.1/32 scram-sha-256\n{given}host all all 127.0.0.1/32 {method}\n")
}
