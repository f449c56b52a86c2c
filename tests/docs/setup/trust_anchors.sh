cp -r "$REPOSITORY/certs" .
