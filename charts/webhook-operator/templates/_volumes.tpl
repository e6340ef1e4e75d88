{{/* The volumes of a pod, and its volume claims if `data` is persistent. */}}

{{- define "webhook-operator.volumes" -}}
{{- $volumes := list -}}
{{- if not .Values.persistence.enabled -}}
{{- $volumes = append $volumes (dict "name" "data" "emptyDir" dict) -}}
{{- end -}}
{{- with .Values.tls.secretName -}}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (dict "secretName" .)) -}}
{{- end -}}
{{- with concat $volumes .Values.extraVolumes -}}
volumes:
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "webhook-operator.volumeClaimTemplates" -}}
{{- $persistence := .Values.persistence -}}
volumeClaimTemplates:
- metadata:
    name: data
    labels:
      {{- include "webhook-operator.selectorLabels" . | nindent 6 }}
    {{- with $persistence.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    accessModes:
      {{- toYaml $persistence.accessModes | nindent 6 }}
    {{- with $persistence.storageClass }}
    storageClassName: {{ ternary "" . (eq . "-") | quote }}
    {{- end }}
    resources:
      requests:
        storage: {{ $persistence.size }}
{{- end -}}
