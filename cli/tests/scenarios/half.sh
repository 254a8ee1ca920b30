# A function that stores a new password and makes it current, and never tells the server: what locks every client out.
ask() { # HOST:PORT, request line, headers, body
    exec 3<>"/dev/tcp/${1%:*}/${1#*:}"
    printf '%s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s\r\nContent-Length: %s\r\n\r\n%s' "$2" "$3" "${#4}" "$4" >&3
    cat <&3
}
service() { ask "${SECRETS_MANAGER_ENDPOINT#http://}" 'POST /' "X-Amz-Target: secretsmanager.$1" "$2"; }
word() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
invocations=/2018-06-01/runtime/invocation
while told=$(ask "$AWS_LAMBDA_RUNTIME_API" "GET $invocations/next" 'Accept: */*' ''); do
    id=$(sed -n 's/^lambda-runtime-aws-request-id: *\([0-9a-f-]*\).*/\1/ip' <<<"$told")
    secret=$(word SecretId <<<"$told") token=$(word ClientRequestToken <<<"$told")
    current=$(service GetSecretValue "{\"SecretId\": \"$secret\"}")
    case $(word Step <<<"$told") in
    createSecret)
        value=$(sed -n 's/.*"SecretString":\(".*[^\\]"\),"VersionId".*/\1/p' <<<"$current")
        value=$(sed "s/\(\\\\\"password\\\\\":\\\\\"\)[^\\\\]*/\1$token/" <<<"$value")
        service PutSecretValue "{\"SecretId\": \"$secret\", \"ClientRequestToken\": \"$token\", \"SecretString\": $value,
            \"VersionStages\": [\"AWSPENDING\"]}" ;;
    finishSecret)
        service UpdateSecretVersionStage "{\"SecretId\": \"$secret\", \"VersionStage\": \"AWSCURRENT\",
            \"MoveToVersionId\": \"$token\", \"RemoveFromVersionId\": \"$(word VersionId <<<"$current")\"}" ;;
    esac
    ask "$AWS_LAMBDA_RUNTIME_API" "POST $invocations/$id/response" 'Accept: */*' null >/dev/null
done
