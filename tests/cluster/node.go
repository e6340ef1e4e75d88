package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// nodeFiles is where a node keeps what it has.
type nodeFiles struct {
	// dir holds the cluster's data, settings and logs.
	dir string
	// images holds the archives of container images that pods may name.
	images string
}

// node runs a whole Kubernetes with one node until it is told to end.
//
// All its programs live in namespaces of their own, of processes, mounts and the
// network. The kernel takes those away with the first process in them, and with
// them every pod, mount, device and firewall rule: nothing is left behind, also
// when this process is killed. What namespaces do not hold is cleared before
// the start and at the end: a network link and control groups.
func node() error {
	files, err := nodeFlags()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("a node needs root")
	}
	if err := prepareDir(files.dir); err != nil {
		return err
	}
	ctx := untilToldToEnd()
	lock, err := lockMachine(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := clearMachine(); err != nil {
		return fmt.Errorf("clear what an earlier node left: %w", err)
	}
	return errors.Join(runInNamespaces(ctx, files, lock), clearMachine())
}

func nodeFlags() (nodeFiles, error) {
	flags := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	dir := flags.String("dir", "", "where data, keys, logs and the kubeconfig are kept (required)")
	images := flags.String("images", "", "folder of image archives (*.tar) to import")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return nodeFiles{}, err
	}
	if *dir == "" {
		return nodeFiles{}, errors.New("--dir is required")
	}
	absolute, err := filepath.Abs(*dir)
	if err != nil {
		return nodeFiles{}, err
	}
	return nodeFiles{dir: absolute, images: *images}, nil
}

// clearMachine removes what outlives the namespaces. There is nothing to remove
// when the last node ended by itself.
func clearMachine() error {
	return errors.Join(removeHostLink(), removeCgroups())
}

// runInNamespaces starts the first process of the namespaces and waits for its
// end, which is the end of every process in them.
func runInNamespaces(ctx context.Context, files nodeFiles, lock *os.File) error {
	hostNetwork, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	defer hostNetwork.Close()
	// The death signal below is that of the thread, not of the process.
	runtime.LockOSThread()
	cmd := self("node-init", "--dir", files.dir, "--images", files.images)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// They become hostNetworkFD and lockFD. So the lock is held until the last
	// process of the namespaces has ended.
	cmd.ExtraFiles = []*os.File{hostNetwork, lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start in namespaces: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return fmt.Errorf("the node ended by itself: %w", err)
	case <-ctx.Done():
		err := cmd.Process.Kill()
		<-ended
		return err
	}
}

// self is a subcommand of this binary.
func self(args ...string) *exec.Cmd {
	return exec.Command("/proc/self/exe", args...)
}
