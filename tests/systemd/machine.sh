#!/usr/bin/env bash
# The first process of a machine made of namespaces: a throw-away layer over the root file system,
# then this system's own systemd. The network stays the outer one, so that callers reach its ports.
# DIR/files is copied over the layer; nothing outside of DIR is written.
set -euo pipefail
dir=$1
root=$dir/mount/root

mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$dir/mount"
mkdir -p "$dir/mount/upper" "$dir/mount/work" "$root"
mount -t overlay machine -o "lowerdir=/,upperdir=$dir/mount/upper,workdir=$dir/mount/work" "$root"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done

# Of the system below only systemd, its journal and D-Bus are started.
units=$root/etc/systemd/system
mkdir -p "$units" "$root/etc/systemd/journald.conf.d"
for unit in systemd-udevd systemd-udev-trigger systemd-sysctl systemd-modules-load systemd-logind \
    systemd-networkd systemd-resolved systemd-timesyncd systemd-remount-fs systemd-firstboot \
    systemd-binfmt systemd-hwdb-update networking; do
    ln -sf /dev/null "$units/$unit.service"
done
printf '[Journal]\nStorage=volatile\n' > "$root/etc/systemd/journald.conf.d/machine.conf"
printf '[Unit]\nRequires=basic.target\nWants=dbus.service\nAfter=basic.target\nAllowIsolate=yes\n' \
    > "$units/machine.target"
: > "$root/etc/fstab"
[ -s "$root/etc/machine-id" ] || echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
cp -a "$dir/files/." "$root/"

mkdir "$root/outside"
cd "$root"
pivot_root . outside
umount -l /outside
mount --make-rshared /
exec env -i container=namespaces PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=machine.target --show-status=false --log-target=journal < /dev/null
