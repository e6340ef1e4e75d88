package main

import (
	"fmt"
	"path/filepath"
)

// Images are not collected and pods not evicted on a full disk: there is no
// registry to fetch them from again.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
# Only this machine and the pods of the tests reach it.
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: %[2]s
failCgroupV1: false
failSwapOn: false
clusterDNS: [%[1]s]
clusterDomain: %[3]s
resolvConf: %[4]s
containerRuntimeEndpoint: unix://%[5]s
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 10Mi, nodefs.available: 0%%, nodefs.inodesFree: 0%%, imagefs.available: 0%%}
`

func startKubelet(dir string, programs children, containers containerd) error {
	resolver := filepath.Join(dir, "config", "resolv.conf")
	if err := writeConfig(resolver, "nameserver "+nodeIP+"\n"); err != nil {
		return err
	}
	config := filepath.Join(dir, "config", "kubelet.yaml")
	content := fmt.Sprintf(kubeletConfig, nodeIP, podsCgroup, clusterDomain, resolver, containers.socket)
	if err := writeConfig(config, content); err != nil {
		return err
	}
	return programs.start("kubelet", self(
		"kubelet",
		"--config="+config,
		"--kubeconfig="+kubeconfigPath(dir),
		"--root-dir="+filepath.Join(dir, "kubelet"),
		"--hostname-override="+nodeName,
		"--node-ip="+nodeIP,
	))
}
