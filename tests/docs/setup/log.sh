until grep -q certificate_missing hubgate.log; do sleep 0.01; done
