package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Settings of the kernel that kubelet changes and that no namespace holds.
var kubeletSettings = []string{
	"kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys",
	"kernel/panic", "kernel/panic_on_oops",
	"vm/overcommit_memory", "vm/panic_on_oom",
}

// What the node sees differently than the machine: state that begins empty, and
// folders of which it changes its own copy.
const freshFolder = "/run"

var copiedFolders = []string{"/var/lib", "/var/log"}

// prepareDir makes the folder of a node where the node and the machine see the
// same.
func prepareDir(dir string) error {
	for _, folder := range append(copiedFolders, freshFolder) {
		if strings.HasPrefix(dir+"/", folder+"/") {
			return fmt.Errorf("--dir must not be below %s", folder)
		}
	}
	return os.MkdirAll(dir, 0o700)
}

// mountOwnFiles gives this mount namespace its own view of what the programs of
// a node write at paths that cannot be configured. All of it is kept in `dir`.
func mountOwnFiles(dir string) error {
	// Nothing mounted from here on is seen outside, nor the other way round.
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	if err := mountFresh(filepath.Join(dir, "run"), freshFolder); err != nil {
		return err
	}
	for _, folder := range copiedFolders {
		if err := mountCopy(filepath.Join(dir, "changes", folder), folder); err != nil {
			return err
		}
	}
	for _, setting := range kubeletSettings {
		if err := mountSetting(filepath.Join(dir, "settings"), setting); err != nil {
			return err
		}
	}
	return nil
}

// mountFresh shows `target` empty. Its content is seen from outside at `source`.
func mountFresh(source, target string) error {
	if err := os.RemoveAll(source); err != nil {
		return err
	}
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	return mount(source, target, "", unix.MS_BIND, "")
}

// mountCopy shows `target` as it is, and keeps what is written to it in `changes`.
func mountCopy(changes, target string) error {
	upper, work := filepath.Join(changes, "upper"), filepath.Join(changes, "work")
	for _, folder := range []string{upper, work} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", target, upper, work)
	return mount("overlay", target, "overlay", 0, layers)
}

// mountSetting puts a copy in the place of a setting of the kernel.
func mountSetting(dir, setting string) error {
	path := filepath.Join("/proc/sys", setting)
	value, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	replacement := filepath.Join(dir, strings.ReplaceAll(setting, "/", "-"))
	if err := os.WriteFile(replacement, value, 0o600); err != nil {
		return err
	}
	return mount(replacement, path, "", unix.MS_BIND, "")
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}
