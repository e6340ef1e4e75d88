{{/* The operator's requests in watched namespaces: exactly these. */}}
{{- define "webhook-operator.servedRules" -}}
- apiGroups: [lenra.io]
  resources: [webhookapps]
  verbs: [list, watch]
- apiGroups: [lenra.io]
  resources: [webhooks]
  verbs: [list, watch, create, delete]
- apiGroups: [lenra.io]
  resources: [webhookapps/status, webhooks/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# No request to the API server: replicas read each other's delivery counts, and check this permission.
- apiGroups: [lenra.io]
  resources: [webhooks/deliveries]
  verbs: [list]
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- if eq (include "webhook-operator.readsAllSecrets" .) "true" }}
# Each Secret is read by name, but the names are known only when webhooks reference them.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
{{- end -}}

{{/* Whether the operator may read every Secret in watched namespaces: `all` if set, otherwise only if `named` is empty. */}}
{{- define "webhook-operator.readsAllSecrets" -}}
{{- $all := .Values.rbac.secrets.all -}}
{{- ternary (empty .Values.rbac.secrets.named) (eq (toString $all) "true") (kindIs "invalid" $all) -}}
{{- end -}}

{{- define "webhook-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "webhook-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
