// webhook-cluster is a real Kubernetes for the tests in one binary, built from
// source: a test needs no container registry and no installed tool, and without
// a node no root either.
//
// Each subcommand is a whole program of Kubernetes, or starts several of them.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

var subcommands = map[string]func() error{
	"control-plane":           controlPlane,
	"coredns":                 coreDNS,
	"kube-controller-manager": kubeControllerManager,
	"kube-proxy":              kubeProxy,
	"kube-scheduler":          kubeScheduler,
	"kubectl":                 kubectl,
	"kubelet":                 kubeKubelet,
	"node":                    node,
	"node-init":               nodeInit,
	"node-programs":           nodePrograms,
}

func main() {
	// Programs of Kubernetes read os.Args themselves: with the first word
	// gone, each finds its own name and arguments where it expects them.
	os.Args = os.Args[1:]
	if len(os.Args) == 0 || subcommands[os.Args[0]] == nil {
		names := slices.Sorted(maps.Keys(subcommands))
		fmt.Fprintf(os.Stderr, "usage: webhook-cluster %s ...\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	if err := subcommands[os.Args[0]](); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}
