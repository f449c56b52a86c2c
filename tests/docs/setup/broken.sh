hubgate certs --dir pki
