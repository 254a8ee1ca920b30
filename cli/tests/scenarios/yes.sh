# A function that does nothing, and says each time that it did: what `turnlock conform` is there to find out.
# It speaks the Lambda runtime API in plain bash.
api=/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API#*:}
while exec 3<>"$api"; do
    printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: lambda\r\nConnection: close\r\n\r\n' >&3
    while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do
        name=${line%%:*}
        [ "${name,,}" = lambda-runtime-aws-request-id ] && id=${line#*: } && id=${id%$'\r'}
    done
    exec 3<>"$api"
    printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: lambda\r\n' "$id" >&3
    printf 'Content-Length: 4\r\nConnection: close\r\n\r\nnull' >&3
    cat <&3 >/dev/null
done
