hubgate certs --dir pki
mkdir -p /etc/hubgate/tls /etc/hubgate/certs /etc/hubgate/secrets
cp pki/server.pem /etc/hubgate/tls/fullchain.pem
cp pki/server.key /etc/hubgate/tls/privkey.pem
cp pki/meta-ca.pem /etc/hubgate/certs/meta-outbound-api-ca-2025-12.pem
cp -p pki/app-secret pki/verify-token /etc/hubgate/secrets/
