//! moto, the AWS emulator in which most Python projects test: a second opinion on Secrets Manager's answers.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use lab::rotation::Step;
use lab::runtime::{Function, RunningFunction};
use lab::sweep::{Accepts, Answer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// An empty zip file, base64.
const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

/// A header for moto, which reads the service's name from the signature and does not check the signature.
fn signed_for(service: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, \
         Signature=0\r\n"
    )
}

/// A database server, as a secret describes it.
pub struct Place<'a> {
    /// Its `engine`.
    pub engine: &'static str,
    /// Its host.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The authority of its certificate.
    pub ca_pem: &'a str,
}

impl Place<'_> {
    /// A secret's value: a user of this server.
    pub fn value(&self, username: &str, password: &str) -> Value {
        let Place { engine, host, port, ca_pem } = self;
        json!({
            "engine": engine, "host": host, "port": port, "username": username, "password": password,
            "sslrootcert": ca_pem,
        })
    }
}

/// A case to rotate on moto.
pub struct Case {
    /// The case's name in errors.
    pub name: String,
    /// The user whose secret is rotated. It is also the secret's name.
    pub user: String,
    strategy: &'static str,
    /// The secrets to create: a name and its values, of which the last becomes current. The first secret is rotated.
    secrets: Vec<(String, Vec<Value>)>,
    /// Tells whether a value logs in.
    accepts: Accepts,
}

impl Case {
    /// A case of this strategy: a user's secret with these values, the last of which is current, and the admin's secret.
    pub fn new<Login>(
        user: String,
        strategy: &'static str,
        mut values: Vec<Value>,
        admin: Value,
        can_login: impl Fn(String, String) -> Login + Send + Sync + 'static,
    ) -> Case
    where
        Login: Future<Output = io::Result<bool>> + Send + 'static,
    {
        let admin_name = format!("admin-of-{user}");
        for value in &mut values {
            value["strategy"] = strategy.into();
            if strategy != "single-user" {
                value["masterarn"] = admin_name.as_str().into();
            }
        }
        let accepts: Accepts = Arc::new(move |value: Value| {
            let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let login = can_login(text("username"), text("password"));
            Box::pin(async move { login.await.expect("the server answers") }) as Answer<bool>
        });
        let secrets = vec![(user.clone(), values), (admin_name, vec![admin])];
        Case { name: strategy.to_owned(), user, strategy, secrets, accepts }
    }

    /// The same case under another name.
    pub fn named(self, name: &str) -> Case {
        Case { name: name.to_owned(), ..self }
    }

    /// Whether the credential from before a rotation logs in after it.
    fn overlaps(&self) -> bool {
        ["alternating-users", "dual-password"].contains(&self.strategy)
    }
}

/// A running moto. It stops when this value is dropped.
pub struct Moto {
    port: u16,
    _process: Child,
}

impl Moto {
    /// Starts moto and waits until it answers.
    pub async fn start() -> io::Result<Moto> {
        let packages = &["moto[server]==5.2.5", "boto3==1.44.5"];
        let python = tokio::task::spawn_blocking(|| lab::servers::python("moto", packages)).await??;
        let moto = loop {
            // The port is free now. Another process may still take it first, because moto cannot be given the socket itself.
            let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
            let started = tokio::time::timeout(Duration::from_secs(120), Moto::start_on(&python, port)).await;
            match started.map_err(io::Error::other)? {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                result => break result?,
            }
        };
        moto.make_function().await?;
        Ok(moto)
    }

    async fn start_on(python: &Path, port: u16) -> io::Result<Moto> {
        let mut process = Command::new(python)
            .args(["-m", "moto.server", "--host", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let mut printed = String::new();
        // Waits for moto's own message, because another process might be listening on this port.
        while !printed.contains("Running on") {
            let Some(line) = lines.next_line().await? else {
                let kind = match printed.contains("Address already in use") {
                    true => io::ErrorKind::AddrInUse,
                    false => io::ErrorKind::Other,
                };
                return Err(io::Error::new(kind, format!("moto did not start:\n{printed}")));
            };
            printed += &format!("{line}\n");
        }
        // Reads on, so that the pipe never fills.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Moto { port, _process: process })
    }

    /// The value for `SECRETS_MANAGER_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls an operation of Secrets Manager.
    pub async fn call(&self, operation: &str, request: Value) -> io::Result<Value> {
        let headers = format!(
            "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.{operation}\r\n{}",
            signed_for("secretsmanager")
        );
        let body = self.post("/", &headers, &request.to_string()).await?;
        serde_json::from_str(&body).map_err(io::Error::other)
    }

    /// Makes a function that does nothing when moto calls it; the test sends the events itself. Without a function, moto promotes
    /// the empty version with which a rotation begins.
    async fn make_function(&self) -> io::Result<()> {
        self.post("/moto-api/config", "", r#"{"lambda": {"use_docker": false}}"#).await?;
        let form = format!("Content-Type: application/x-www-form-urlencoded\r\n{}", signed_for("iam"));
        let role = "Action=CreateRole&Version=2010-05-08&RoleName=rotation&AssumeRolePolicyDocument=%7B%7D";
        self.post("/", &form, role).await?;
        let function = json!({
            "FunctionName": "rotation", "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": "arn:aws:iam::123456789012:role/rotation", "Code": {"ZipFile": EMPTY_ZIP},
        });
        self.post("/2015-03-31/functions", &signed_for("lambda"), &function.to_string()).await.map(drop)
    }

    async fn post(&self, path: &str, headers: &str, body: &str) -> io::Result<String> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other(answer.clone()))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status.starts_with('2') {
            Ok(body.to_owned())
        } else {
            Err(io::Error::other(format!("{status}: {body}")))
        }
    }

    /// Starts a function that uses this moto as its Secrets Manager.
    pub async fn function(&self, package: &str) -> io::Result<RunningFunction> {
        let function = Function::new(package, [Function::build(package)?]);
        function.env("SECRETS_MANAGER_ENDPOINT", self.endpoint()).start().await
    }

    /// Creates a case's secrets and rotates the first of them three times. Returns the current user after each rotation, or the
    /// failure.
    pub async fn rotates_three_times(
        &self,
        function: &RunningFunction,
        case: &Case,
    ) -> Result<Vec<String>, String> {
        let Case { name, user: secret, secrets, accepts, .. } = case;
        let failed = |what: String| format!("{name} of {secret}: {what}");
        for (secret, values) in secrets {
            self.make(secret, values).await.map_err(|error| failed(error.to_string()))?;
        }
        let mut users = Vec::new();
        for round in 1..=3 {
            let before = self.current(secret).await.map_err(|error| failed(error.to_string()))?;
            self.rotate(function, secret)
                .await
                .map_err(|error| failed(format!("rotation {round}: {error}")))?;
            let after = self.current(secret).await.map_err(|error| failed(error.to_string()))?;
            if !accepts(after.clone()).await {
                return Err(failed(format!("after rotation {round} AWSCURRENT does not log in")));
            }
            if accepts(before.clone()).await != case.overlaps() {
                return Err(failed(format!(
                    "after rotation {round} the credential before it is not as it should be"
                )));
            }
            users.push(after["username"].as_str().unwrap_or_default().to_owned());
        }
        Ok(users)
    }

    async fn make(&self, name: &str, values: &[Value]) -> io::Result<()> {
        for (number, value) in values.iter().enumerate() {
            let (operation, key) =
                if number == 0 { ("CreateSecret", "Name") } else { ("PutSecretValue", "SecretId") };
            self.call(operation, json!({key: name, "SecretString": value.to_string()})).await?;
        }
        Ok(())
    }

    /// Rotates once, with the same events as Secrets Manager.
    async fn rotate(&self, function: &RunningFunction, secret: &str) -> Result<(), String> {
        let token = self.begin(secret).await.map_err(|error| error.to_string())?;
        for step in Step::ALL {
            let event = json!({"SecretId": secret, "ClientRequestToken": token, "Step": step.name()});
            function.invoke(event).await.map_err(|error| format!("{}: {error}", step.name()))?;
        }
        Ok(())
    }

    /// Begins a rotation as RotateSecret does, and returns its token. It also removes AWSPENDING after the rotation before, which
    /// the service does and moto does not.
    pub async fn begin(&self, secret: &str) -> io::Result<String> {
        let described = self.call("DescribeSecret", json!({"SecretId": secret})).await?;
        for (version, labels) in described["VersionIdsToStages"].as_object().into_iter().flatten() {
            if labels.as_array().is_some_and(|labels| labels.contains(&json!("AWSPENDING"))) {
                let request =
                    json!({"SecretId": secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": version});
                self.call("UpdateSecretVersionStage", request).await?;
            }
        }
        let request = json!({
            "SecretId": secret, "RotationRules": {"AutomaticallyAfterDays": 30},
            "RotationLambdaARN": "arn:aws:lambda:us-east-1:123456789012:function:rotation",
        });
        let answer = self.call("RotateSecret", request).await?;
        answer["VersionId"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("no token"))
    }

    /// The value under AWSCURRENT.
    pub async fn current(&self, secret: &str) -> io::Result<Value> {
        let answer = self.call("GetSecretValue", json!({"SecretId": secret})).await?;
        serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default()).map_err(io::Error::other)
    }
}
