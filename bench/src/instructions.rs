//! Counts the instructions of a start with callgrind. The count is the same in every run, even on a busy machine.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// Python under callgrind takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether callgrind is here.
pub(crate) async fn available() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().await;
    version.is_ok_and(|status| status.success())
}

/// The instructions of a process that starts and asks for work. The connection closes without an answer, so the process ends by
/// itself, as callgrind needs to report its count.
pub(crate) async fn of_start(
    program: &[&std::ffi::OsStr],
    environment: &[(&str, &std::ffi::OsStr)],
) -> io::Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "counted")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "counted")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "counted")
        .env("AWS_REGION", "us-east-1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let hang_up = async {
        loop {
            let mut bytes = [0; 4096];
            let (mut stream, _) = listener.accept().await?;
            let _asked = stream.read(&mut bytes).await?;
        }
    };
    let ended = tokio::select! {
        ended = timeout(PATIENCE, output) => ended,
        refused = hang_up => return refused,
    };
    let output = ended.map_err(|_| io::Error::other("it did not end under callgrind"))??;
    let text = String::from_utf8_lossy(&output.stderr);
    let counted = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    counted.ok_or_else(|| io::Error::other(format!("callgrind counted nothing:\n{text}")))
}
