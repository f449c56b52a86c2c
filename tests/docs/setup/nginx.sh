hubgate certs --dir pki --name hooks.example.com
mkdir -p /etc/hubgate/tls /etc/hubgate/certs /etc/hubgate/secrets /etc/nginx
cp pki/server.pem /etc/hubgate/tls/fullchain.pem
cp pki/server.key /etc/hubgate/tls/privkey.pem
cp pki/meta-ca.pem /etc/hubgate/certs/meta-ca.pem
