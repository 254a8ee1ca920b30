# rotate-api-key; but before it begins, somebody who holds the secret's key gets another from the service of the demo.
ask() {
    exec 3<>"/dev/tcp/${1%:*}/${1#*:}"
    printf '%s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s\r\nContent-Length: %s\r\n\r\n%s' "$2" "$3" "${#4}" "$4" >&3
    cat <&3
}
until [ "$key" ]; do # The demo makes the secret while this starts.
    told=$(ask "${SECRETS_MANAGER_ENDPOINT#http://}" 'POST /' 'X-Amz-Target: secretsmanager.GetSecretValue' '{"SecretId": "prod/app"}')
    key=$(echo "$told" | grep -o '[0-9a-f]\{32\}' | head -1)
done
service=$(sed -n 's|^api = "http://\(.*\)"|\1|p' "$PROVIDERS_DIR/demo.toml")
ask "$service" 'POST /keys' "Authorization: Bearer $key" '{"name": "beside"}' >/dev/null
exec "$1"
