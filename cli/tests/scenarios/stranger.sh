# No function: it asks the server that stands before Secrets Manager as others on this machine can, and then as a function can
# that wants more than to rotate.
ask() {
    exec 3<>"/dev/tcp/127.0.0.1/${SECRETS_MANAGER_ENDPOINT##*:}"
    printf 'POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-Amz-Target: secretsmanager.%s\r\n' "$1" >&3
    printf 'X-Amz-Security-Token: %s\r\nContent-Length: %s\r\n\r\n%s' "$2" "${#3}" "$3" >&3
    told=$(cat <&3)
    echo "$1: ${told%%$'\r'*} ${told##*$'\n'}"
}
ask GetSecretValue '' '{"SecretId": "prod/app"}'
ask GetSecretValue local-session '{"SecretId": "prod/app"}'
ask DeleteSecret "$AWS_SESSION_TOKEN" '{"SecretId": "prod/app"}'
ask DescribeSecret "$AWS_SESSION_TOKEN" '{"SecretId": "prod/none"}'
