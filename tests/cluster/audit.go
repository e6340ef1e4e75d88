package main

import "path/filepath"

// One line for each request, when it was answered: a watch is told when it ends.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
`

// auditFlags make the API server tell who asked for what, as lines of JSON in
// audit.log.
func auditFlags(dir string) ([]string, error) {
	policy := filepath.Join(dir, "audit-policy.yaml")
	return []string{
		"--audit-policy-file=" + policy,
		"--audit-log-path=" + filepath.Join(dir, "audit.log"),
	}, writeConfig(policy, auditPolicy)
}
