# The same with Terraform: the function from a zip of `cargo xtask package`, its role, the secret's schedule.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_secretsmanager_secret" "app" {
  name = "prod/app"
}

locals {
  name         = "turnlock-postgres"
  account      = data.aws_caller_identity.current.account_id
  here         = "${data.aws_region.current.region}:${local.account}"
  partition    = data.aws_partition.current.partition
  function_arn = "arn:${local.partition}:lambda:${local.here}:function:${local.name}"
}

resource "aws_cloudwatch_log_group" "rotate" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = 365
}

resource "aws_iam_role" "rotate" {
  name = local.name
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "rotate" {
  name = "rotate"
  role = aws_iam_role.rotate.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "secretsmanager:DescribeSecret",
          "secretsmanager:GetSecretValue",
          "secretsmanager:ListSecretVersionIds",
          "secretsmanager:PutSecretValue",
          "secretsmanager:UpdateSecretVersionStage",
        ]
        Resource  = "arn:${local.partition}:secretsmanager:${local.here}:secret:prod/*"
        Condition = { StringEquals = { "secretsmanager:resource/AllowRotationLambdaArn" = local.function_arn } }
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.rotate.arn}:*"
      },
    ]
  })
}

resource "aws_lambda_function" "rotate" {
  function_name    = local.name
  role             = aws_iam_role.rotate.arn
  runtime          = "provided.al2023"
  architectures    = ["arm64"]
  handler          = "bootstrap"
  filename         = "target/package/rotate-postgres-arm64.zip"
  source_code_hash = filebase64sha256("target/package/rotate-postgres-arm64.zip")
  timeout          = 60
  memory_size      = 128
  depends_on       = [aws_cloudwatch_log_group.rotate, aws_iam_role_policy.rotate]
}

resource "aws_lambda_permission" "rotate" {
  statement_id   = "SecretsManager"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.rotate.function_name
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account
}

resource "aws_secretsmanager_secret_rotation" "app" {
  secret_id           = data.aws_secretsmanager_secret.app.id
  rotation_lambda_arn = aws_lambda_function.rotate.arn
  rotate_immediately  = false

  rotation_rules {
    schedule_expression = "cron(0 2 ? * SUN *)"
    duration            = "2h"
  }

  depends_on = [aws_lambda_permission.rotate]
}
