package main

import (
	"bufio"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const apiServerPort = "6443"

// nodePrograms starts the programs of a node and of its control plane, says when
// pods can run, and ends when one of them ends.
func nodePrograms() error {
	files, err := nodeFlags()
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(context.Background())
	programs := children{logs: filepath.Join(files.dir, "logs"), fail: fail}

	server, err := startNode(ctx, files, programs)
	if cause := context.Cause(ctx); cause != nil {
		// The error that the end of a program led to says less.
		return cause
	}
	if err != nil {
		return err
	}
	if _, err := fmt.Printf("ready %s\n", server); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// startNode returns the API server's URL when pods can run. What takes time and
// does not need the other is done side by side.
func startNode(ctx context.Context, files nodeFiles, programs children) (string, error) {
	start := time.Now()
	containers, err := startContainerd(files.dir, programs)
	if err != nil {
		return "", err
	}
	var images errgroup.Group
	images.Go(func() error { return containers.importImages(ctx, files.images) })

	server, err := startControlPlane(files.dir, programs)
	if err != nil {
		return "", err
	}
	if err := startClients(ctx, files.dir, programs, containers); err != nil {
		return "", err
	}
	if err := images.Wait(); err != nil {
		return "", err
	}
	return server, awaitUsable(ctx, kubeconfigPath(files.dir), start)
}

// startControlPlane returns the API server's URL when it answers.
func startControlPlane(dir string, programs children) (string, error) {
	cmd := self("control-plane", "--dir", dir, "--address", nodeIP, "--port", apiServerPort)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	// It ends with its standard input, which nobody closes.
	if _, err := cmd.StdinPipe(); err != nil {
		return "", err
	}
	if err := programs.start("control-plane", cmd); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("control plane: %w", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "ready ")), nil
}

// startClients starts the programs that need the API server.
func startClients(ctx context.Context, dir string, programs children, containers containerd) error {
	starts := []func(string, children) error{
		startControllerManager, startScheduler, startProxy, startDNS,
	}
	for _, start := range starts {
		if err := start(dir, programs); err != nil {
			return err
		}
	}
	// Kubelet ends when there is no containerd yet.
	if err := containers.awaitSocket(ctx); err != nil {
		return err
	}
	return startKubelet(dir, programs, containers)
}

func startControllerManager(dir string, programs children) error {
	credentials := credentialsIn(dir)
	return programs.start("kube-controller-manager", self(
		"kube-controller-manager",
		"--kubeconfig="+kubeconfigPath(dir),
		"--leader-elect=false",
		// Its own limit makes the start of so many controllers take seconds.
		"--kube-api-qps=1000", "--kube-api-burst=1000",
		"--service-account-private-key-file="+credentials.serviceAccountKey,
		// What pods verify the API server with.
		"--root-ca-file="+credentials.certificateAuthority(),
		"--use-service-account-credentials=true",
		// The CNI plugin gives addresses to pods.
		"--controllers=*,-node-ipam-controller",
	))
}

func startScheduler(dir string, programs children) error {
	return programs.start("kube-scheduler", self(
		"kube-scheduler", "--kubeconfig="+kubeconfigPath(dir), "--leader-elect=false",
	))
}
