//! The programs of MySQL and MariaDB (the installed ones, or else Debian's, or else Docker's), and fresh data folders.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use super::release::{Flavor, Release};
use crate::servers::image::Layer;
use crate::servers::program::Program;
use crate::servers::{account, cache, debian, docker};

/// The Debian suite of each release.
const PACKAGED: [(Release, &str, &str); 3] = [
    (Release::MYSQL_9, "sid", "mysql-server-core"),
    (Release::MARIADB_10, "bookworm", "mariadb-server-core"),
    (Release::MARIADB_11, "trixie", "mariadb-server-core"),
];

/// Where distributions install servers.
const INSTALLED: [&str; 4] =
    ["/usr/sbin/mariadbd", "/usr/libexec/mariadbd", "/usr/sbin/mysqld", "/usr/libexec/mysqld"];

/// The releases with an official Docker image.
const IMAGES: [Release; 4] = [Release::MYSQL_8, Release::MYSQL_9, Release::MARIADB_10, Release::MARIADB_11];

/// The server program of one release.
pub(super) struct Programs {
    server: Program,
    /// The folder for which the program was built; `None` in a container, where the program is in that folder.
    base: Option<PathBuf>,
    /// The part of a data folder's name that tells this program's data folders from another program's.
    origin: &'static str,
}

/// The releases that can be started here.
pub(super) fn releases(flavor: Flavor) -> Vec<Release> {
    let mut releases: Vec<Release> = match docker::is_forced() {
        true => in_containers().clone(),
        false => {
            installed().map(|(release, _)| release).chain(PACKAGED.map(|(release, ..)| release)).collect()
        }
    };
    releases.retain(|release| release.flavor == flavor);
    releases.sort_unstable();
    releases.dedup();
    releases
}

/// The releases whose image is here, can be fetched, or can be made.
fn in_containers() -> &'static Vec<Release> {
    static FOUND: LazyLock<Vec<Release>> = LazyLock::new(|| {
        let is_packaged = |release: &Release| PACKAGED.iter().any(|(packaged, ..)| packaged == release);
        IMAGES.into_iter().filter(|release| is_packaged(release) || docker::has(&image(*release))).collect()
    });
    &FOUND
}

/// The name of a release's official image.
fn image(release: Release) -> String {
    let Release { flavor, version: (major, minor) } = release;
    let repository = match flavor {
        Flavor::MySql => "mysql",
        Flavor::MariaDb => "mariadb",
    };
    format!("{repository}:{major}.{minor}")
}

pub(super) fn find(release: Release) -> io::Result<Programs> {
    docker::otherwise(&release.to_string(), || native(release), || container(release))
}

fn native(release: Release) -> io::Result<Programs> {
    if let Some((_, path)) = installed().find(|(installed, _)| *installed == release) {
        let server = Program::Native(vec![path.into()]);
        return Ok(Programs { server, base: Some("/usr".into()), origin: "installed" });
    }
    let (suite, package) = packaged(release)?;
    let root = debian::unpacked(suite, package)?;
    let program = match release.flavor {
        Flavor::MySql => "usr/sbin/mysqld",
        Flavor::MariaDb => "usr/sbin/mariadbd",
    };
    let command = debian::command(&root, program)?;
    let found = version(&command);
    if found != Some(release) {
        let found = found.map_or("something else".to_owned(), |found| found.to_string());
        return Err(io::Error::other(format!("Debian {suite} has {found} by now, and no more {release}")));
    }
    Ok(Programs { server: Program::Native(command), base: Some(root.join("usr")), origin: suite })
}

fn container(release: Release) -> io::Result<Programs> {
    let image = image(release);
    docker::image(&image, || layers(release))?;
    let name = match release.flavor {
        Flavor::MySql => "mysqld",
        Flavor::MariaDb => "mariadbd",
    };
    Ok(Programs { server: Program::Container { image, name }, base: None, origin: "docker" })
}

/// What an image of this release is made of. MariaDB has its plugins in a package of their own.
fn layers(release: Release) -> io::Result<Vec<Layer>> {
    let (suite, package) = packaged(release)?;
    let mut layers = vec![(debian::unpacked(suite, package)?, "")];
    if release.flavor == Flavor::MariaDb {
        layers.push((debian::unpacked_alone(suite, "mariadb-server")?, ""));
    }
    Ok(layers)
}

/// The Debian suite and package of a release.
fn packaged(release: Release) -> io::Result<(&'static str, &'static str)> {
    let found = PACKAGED.into_iter().find(|(packaged, ..)| *packaged == release);
    let unknown = || io::Error::other(format!("{release} is not known to be in Debian"));
    found.map(|(_, suite, package)| (suite, package)).ok_or_else(unknown)
}

fn installed() -> impl Iterator<Item = (Release, &'static str)> {
    INSTALLED.into_iter().filter_map(|path| Some((version(&[path.into()])?, path)))
}

fn version(command: &[OsString]) -> Option<Release> {
    let output = Command::new(&command[0]).args(&command[1..]).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The output begins with the program's own path, which may have digits.
    Release::parse(text.split_once("Ver ")?.1)
}

impl Programs {
    /// The program, and the arguments without which it does not find its own files.
    pub(super) fn server(&self) -> (&Program, Vec<OsString>) {
        let mut arguments = vec![OsString::from("--no-defaults")];
        if let Some(base) = &self.base {
            let share = share(base).display().to_string();
            arguments.push(format!("--basedir={}", base.display()).into());
            arguments.push(format!("--lc-messages-dir={share}").into());
            arguments.push(format!("--character-sets-dir={share}/charsets").into());
            let plugins = base.join("lib/mysql/plugin");
            if plugins.exists() {
                arguments.push(format!("--plugin-dir={}", plugins.display()).into());
            }
        }
        (&self.server, arguments)
    }

    /// The folder of the plugins that Debian has in a package of their own. Container images have the plugins in place.
    pub(super) fn plugins(&self, release: Release) -> io::Result<Option<OsString>> {
        if let Program::Container { .. } = self.server {
            return Ok(None);
        }
        let (suite, _) = packaged(release)?;
        let folder = debian::unpacked_alone(suite, "mariadb-server")?.join("usr/lib/mysql/plugin");
        Ok(Some(format!("--plugin-dir={}", folder.display()).into()))
    }

    /// A fresh data folder, made once and then copied: `data`, and the superuser's password in `password`.
    pub(super) fn template(&self, release: Release) -> io::Result<PathBuf> {
        let Release { flavor, version: (major, minor) } = release;
        let name = format!("{}-{major}.{minor}-{}-data", format!("{flavor:?}").to_lowercase(), self.origin);
        cache::entry(&name, |folder| {
            cache::announce(&format!("preparing a data folder of {release}"));
            let password = format!("{:032x}", rand::random::<u128>());
            account::own(folder)?;
            fs::write(folder.join("password"), &password)?;
            match flavor {
                Flavor::MySql => self.initialize_mysql(folder, &password),
                Flavor::MariaDb => self.bootstrap_mariadb(folder, &password),
            }
        })
    }

    fn initialize_mysql(&self, folder: &Path, password: &str) -> io::Result<()> {
        let path = folder.join("init.sql");
        // Each statement of this file is one line.
        let sql = format!(
            "ALTER USER root@localhost IDENTIFIED BY '{password}';\n\
             CREATE USER root@127.0.0.1 IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION;\n"
        );
        fs::write(&path, sql)?;
        let (server, mut arguments) = self.server();
        arguments.push(format!("--datadir={}", folder.join("data").display()).into());
        arguments.push(format!("--init-file={}", path.display()).into());
        // The data is small because it is copied for each server.
        let options =
            ["--innodb-autoextend-increment=1", "--innodb-doublewrite=OFF", "--initialize-insecure"];
        arguments.extend(options.map(OsString::from));
        server.run(&arguments, folder, Stdio::null())?;
        fs::remove_file(path)
    }

    /// Does what `mariadb-install-db` does, which needs Perl and other packages: a server without any tables reads the scripts of the
    /// system tables.
    fn bootstrap_mariadb(&self, folder: &Path, password: &str) -> io::Result<()> {
        let path = folder.join("bootstrap.sql");
        // Each statement has to end its line.
        let before = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n";
        let after = format!(
            "USE mysql;\n\
             DELETE FROM global_priv WHERE Host NOT IN ('localhost', '127.0.0.1') OR User <> 'root';\n\
             UPDATE global_priv SET Priv = JSON_SET(Priv, '$.plugin', 'mysql_native_password', \
             '$.authentication_string', PASSWORD('{password}'));\n"
        );
        fs::write(&path, [before, &self.system_tables(folder)?, &after].join("\n"))?;
        fs::create_dir(folder.join("data"))?;
        account::own(&folder.join("data"))?;
        let (server, mut arguments) = self.server();
        arguments.push(format!("--datadir={}", folder.join("data").display()).into());
        arguments.extend(["--bootstrap", "--max-allowed-packet=8M"].map(OsString::from));
        server.run(&arguments, folder, Stdio::from(File::open(&path)?))?;
        fs::remove_file(path)
    }

    /// The scripts that make MariaDB's system tables. Newer releases begin their names with `mariadb`.
    fn system_tables(&self, folder: &Path) -> io::Result<String> {
        let scripts = "cat m*_system_tables.sql m*_performance_tables.sql m*_system_tables_data.sql \
                       maria_add_gis_sp_bootstrap.sql m*_sys_schema.sql";
        let mut command = match (&self.server, &self.base) {
            (Program::Container { image, .. }, _) => {
                let words = docker::command(image, "sh", folder);
                let mut command = Command::new(&words[0]);
                let enter = "cd /usr/share/mariadb 2>/dev/null || cd /usr/share/mysql; ";
                command.args(&words[1..]).args(["-c", &(enter.to_owned() + scripts)]);
                command
            }
            (Program::Native(_), base) => {
                let mut command = Command::new("sh");
                command
                    .args(["-c", scripts])
                    .current_dir(share(base.as_deref().unwrap_or(Path::new("/usr"))));
                command
            }
        };
        cache::run(&mut command)
    }
}

/// The folder with messages and scripts.
fn share(base: &Path) -> PathBuf {
    let mariadb = base.join("share/mariadb");
    if mariadb.exists() { mariadb } else { base.join("share/mysql") }
}
