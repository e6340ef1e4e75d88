package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// The control group of all pods, in each hierarchy.
const podsCgroup = "/webhook-cluster"

const cgroupRoot = "/sys/fs/cgroup"

// cgroupHierarchies are the mounted ones: one of version 2, or one for each
// controller of version 1.
func cgroupHierarchies() ([]string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &stat); err != nil {
		return nil, err
	}
	if stat.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, err
	}
	var hierarchies []string
	for _, entry := range entries {
		// Others are links: `cpu,cpuacct` has two names.
		if entry.IsDir() {
			hierarchies = append(hierarchies, filepath.Join(cgroupRoot, entry.Name()))
		}
	}
	return hierarchies, nil
}

// createCgroups makes the control groups that kubelet puts pods below.
func createCgroups() error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := os.MkdirAll(hierarchy+podsCgroup, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroups removes them. Their processes must have ended.
func removeCgroups() error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		err = errors.Join(err, removeCgroup(hierarchy+podsCgroup))
	}
	return err
}

// removeCgroup removes a group and those below it. The files of a control group
// cannot be removed and go with it.
func removeCgroup(path string) error {
	var groups []string
	err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, group := range slices.Backward(groups) {
		err = errors.Join(err, unix.Rmdir(group))
	}
	return err
}
