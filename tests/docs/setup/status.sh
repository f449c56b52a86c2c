kill %1
wait %1
hubgate send https://localhost:8443/webhooks --cacert pki/server-ca.pem \
    --cert pki/meta-client.pem --key pki/meta-client.key --secret-file pki/app-secret
